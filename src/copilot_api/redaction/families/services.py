"""What programs call besides: messages, payments, mail, monitoring, work."""

from copilot_api.redaction.families.shapes import near
from copilot_api.redaction.plausible import has_digit, is_no_example, is_own_word
from copilot_api.redaction.rule import Rule

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


SERVICES = (
    Rule(
        "slack-token", "a token of Slack", "xox[abp]-[0-9]{12}-[0-9]{12}-[A-Za-z0-9]{24}|xapp-1-A[A-Z0-9]{10}-[0-9]{13}-[0-9a-f]{64}",
        ("xox", "xapp-", "xwfp-"), r"(?:xox[a-z](?:\.xox[a-z])?|xapp|xwfp)-[A-Za-z0-9\-]{10,512}", has_digit,
    ),
    Rule(
        "slack-webhook", "the address of a webhook of Slack", "hooks[.]slack[.]com/services/T[A-Z0-9]{10}/B[A-Z0-9]{10}/[A-Za-z0-9]{24}",
        ("hooks.slack.com/",), r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/_\-]{16,255})",
    ),
    Rule("discord-webhook", "the address of a webhook of Discord", "discord[.]com/api/webhooks/[0-9]{18}/[A-Za-z0-9_-]{68}", ("/api/webhooks/",), r"/api/webhooks/([0-9]{12,24}/[A-Za-z0-9_\-]{40,128})"),
    Rule("teams-webhook", "the address of a webhook of Microsoft Teams", f"webhook[.]office[.]com/webhookb2/{_UUID}@{_UUID}/IncomingWebhook/[0-9a-f]{{32}}/{_UUID}", (".office.com/webhookb2/",), r"\.office\.com/webhookb2/([A-Za-z0-9@/\-]{60,400})"),
    Rule("zapier-webhook", "the address of a webhook of Zapier", "hooks[.]zapier[.]com/hooks/catch/[0-9]{7}/[a-z0-9]{7}", ("hooks.zapier.com/hooks/catch/",), r"hooks\.zapier\.com/hooks/catch/([0-9]{4,12}/[A-Za-z0-9]{5,32})"),
    Rule("telegram-token", "the token of a bot of Telegram", "[0-9]{10}:AA[A-Za-z0-9_-]{33}", (":AA",), r"(?<=[0-9]{7}):(AA[A-Za-z0-9_\-]{30,40})"),
    Rule("twilio-key", "an API key of Twilio", "SK[0-9a-f]{32}", ("SK",), r"(?<![A-Za-z0-9])SK[0-9a-f]{32}(?![0-9a-f])"),
    Rule("named-twilio-token", "an auth token of Twilio, by the name before it", "TWILIO_AUTH_TOKEN=[0-9a-f]{32}", ("twilio",), near("twilio", "[0-9a-f]{32}"), is_any_case=True),
    Rule("sendgrid-key", "a key of SendGrid", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", ("SG.",), r"(?<![A-Za-z0-9])SG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{24,64}"),
    Rule("mailgun-key", "a key of Mailgun", "key-[0-9a-f]{32}", ("key-",), r"(?<![A-Za-z0-9])key-[0-9a-f]{32}(?![0-9a-f])"),
    Rule("named-mailgun-key", "a key of Mailgun of its later form, by the name before it", "MAILGUN_API_KEY=[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}", ("mailgun",), near("mailgun", "[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}"), is_any_case=True),
    Rule("mailchimp-key", "a key of Mailchimp", "[0-9a-f]{32}-us[1-9]", ("-us",), r"[0-9a-f]{32}-us[0-9]{1,2}(?![0-9a-z])", back=32),
    Rule("brevo-key", "a key of Brevo", "xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}", ("xkeysib-", "xsmtpsib-"), r"x(?:key|smtp)sib-[0-9a-f]{40,64}-[A-Za-z0-9]{12,32}"),
    Rule("mailersend-key", "a token of MailerSend", "mlsn[.][0-9a-f]{64}", ("mlsn.",), r"mlsn\.[0-9a-f]{40,128}"),
    Rule("resend-key", "a key of Resend", "re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}", ("re_",), r"(?<![A-Za-z0-9])re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,32}(?![A-Za-z0-9_])"),
    Rule("stripe-key", "a secret or restricted key of Stripe (or of Clerk)", "(sk|rk)_(live|test)_[A-Za-z0-9]{24}", ("sk_live_", "sk_test_", "sk_prod_", "rk_live_", "rk_test_", "rk_prod_"), r"[rs]k_(?:live|test|prod)_[A-Za-z0-9_]{10,255}", is_no_example),
    Rule("webhook-secret", "the secret of a webhook (Stripe, Svix, Clerk)", "whsec_[A-Za-z0-9]{32}", ("whsec_",), r"whsec_[A-Za-z0-9+/=]{16,128}"),
    Rule("square-token", "a token or secret of Square", "sq0(atp|csp)-[A-Za-z0-9_-]{43}", ("sq0atp-", "sq0csp-", "sq0idp-"), r"sq0(?:atp|csp|idp)-[A-Za-z0-9_\-]{20,64}"),
    Rule("shopify-token", "a token or secret of Shopify", "shp(at|ca|pa|ss)_[0-9a-f]{32}", ("shpat_", "shpca_", "shppa_", "shpss_", "shpua_", "shptka_"), r"shp[a-z]{2,4}_[0-9a-fA-F]{32,64}"),
    Rule("braintree-token", "an access token of Braintree or PayPal", r"access_token\$production\$[0-9a-z]{16}\$[0-9a-f]{32}", ("access_token$",), r"access_token\$[a-z]{4,12}\$[0-9a-z]{12,20}\$[0-9a-f]{24,40}"),
    Rule("plaid-token", "an access token of Plaid", f"access-(sandbox|development|production)-{_UUID}", ("access-sandbox-", "access-development-", "access-production-"), rf"access-(?:sandbox|development|production)-{_UUID}"),
    Rule("razorpay-key", "a key of Razorpay", "rzp_live_[A-Za-z0-9]{14}", ("rzp_live_", "rzp_test_"), r"rzp_(?:live|test)_[A-Za-z0-9]{10,64}"),
    Rule("flutterwave-key", "a secret key of Flutterwave", "FLWSECK_TEST-[0-9a-h]{32}-X", ("FLWSECK",), r"FLWSECK(?:_TEST)?-[0-9a-zA-Z]{12,64}(?:-X)?"),
    Rule("easypost-key", "a key of EasyPost", "EZ[AT]K[A-Za-z0-9]{54}", ("EZAK", "EZTK"), r"(?<![A-Za-z0-9])EZ[AT]K[A-Za-z0-9]{40,64}"),
    Rule("live-or-test-key", "a key of Shippo, Duffel or Lob", "(shippo|duffel)_(live|test)_[0-9a-f]{40}", ("shippo_live_", "shippo_test_", "duffel_live_", "duffel_test_"), r"(?:shippo|duffel)_(?:live|test)_[A-Za-z0-9_\-=]{24,64}"),
    Rule("facebook-token", "an access token of Facebook or Instagram, or of Square's older form", "EAA[A-Za-z0-9]{140}", ("EAA", "IGQV"), r"(?<![A-Za-z0-9+/_\-])(?:EAA|IGQV)(?=[A-Za-z]{0,50}[0-9])[A-Za-z0-9_\-]{57,512}(?![A-Za-z0-9+/=])"),
    Rule("twitter-token", "a bearer token of X (Twitter)", "A{22}[A-Za-z0-9]{30}%3D[A-Za-z0-9]{50}", ("AAAAAAAAAAAAAAAAAAAA",), r"(?<![A-Za-z0-9+/])A{20,24}(?=[A-Za-z0-9%]{0,60}%)[A-Za-z0-9%]{30,255}"),
    Rule("dropbox-token", "a short-lived token of Dropbox", r"sl\.[A-Za-z0-9_-]{138}", ("sl.",), r"(?<![A-Za-z0-9])sl\.(?:u\.)?[A-Za-z0-9_\-]{100,2048}"),
    Rule("hubspot-token", "a token of a private app of HubSpot", f"pat-(na|eu)1-{_UUID}", ("pat-na", "pat-eu"), rf"pat-(?:na|eu)[0-9]-{_UUID}"),
    Rule("notion-token", "a token of Notion", "secret_[A-Za-z0-9]{43}|ntn_[0-9]{11}[A-Za-z0-9]{35}", ("secret_", "ntn_"), r"(?<![A-Za-z0-9_])(?:secret_(?=[A-Za-z]{0,42}[0-9])[A-Za-z0-9]{40,64}|ntn_[A-Za-z0-9]{40,64})(?![A-Za-z0-9_])"),
    Rule("airtable-token", "a personal token of Airtable", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}", ("pat",), r"(?<![A-Za-z0-9])pat[A-Za-z0-9]{14}\.[0-9a-f]{40,64}"),
    Rule("linear-key", "a key or token of Linear", "lin_(api|oauth)_[A-Za-z0-9]{40}", ("lin_api_", "lin_oauth_", "lin_wh_"), r"lin_(?:api|oauth|wh)_[A-Za-z0-9]{24,128}"),
    Rule("figma-token", "a token of Figma", "figd_[A-Za-z0-9_-]{40}", ("figd_", "figu_", "figo_"), r"(?<![A-Za-z0-9])fig[duo]_[A-Za-z0-9_\-]{24,64}"),
    Rule("typeform-token", "a token of Typeform", "tfp_[A-Za-z0-9_-]{59}", ("tfp_",), r"(?<![A-Za-z0-9])tfp_[A-Za-z0-9_.=\-]{40,64}"),
    Rule("contentful-token", "a personal token of Contentful", "CFPAT-[A-Za-z0-9_-]{43}", ("CFPAT-",), r"CFPAT-[A-Za-z0-9_\-]{32,64}"),
    Rule("adafruit-key", "a key of Adafruit IO", "aio_[A-Za-z]{4}[0-9]{2}[A-Za-z0-9]{22}", ("aio_",), r"(?<![A-Za-z0-9])aio_(?=[A-Za-z]{0,27}[0-9])[A-Za-z0-9]{28}(?![A-Za-z0-9_])"),
    Rule("mapbox-token", "a secret token of Mapbox", r"sk\.eyJ1Ijoi[A-Za-z0-9]{60}\.[A-Za-z0-9_-]{22}", ("sk.eyJ", "tk.eyJ"), r"(?<![A-Za-z0-9])[st]k\.eyJ[A-Za-z0-9_\-]{20,512}\.[A-Za-z0-9_\-]{16,64}"),
    Rule("readme-key", "a key of ReadMe, Frame.io, WakaTime or Rollbar's like, by its beginning", "rdme_[a-z0-9]{70}|fio-u-[A-Za-z0-9_-]{64}", ("rdme_", "fio-u-", "waka_"), rf"(?:rdme_[a-z0-9]{{40,80}}|fio-u-[A-Za-z0-9_\-=]{{40,80}}|waka_(?:sec_)?{_UUID})"),
    Rule("new-relic-key", "a key of New Relic", "NRAK-[A-Z0-9]{27}", ("NRAK-", "NRII-", "NRJS-", "NRRA-", "NRAA-", "NRIQ-"), r"NR(?:AK|II|JS|RA|AA|IQ)-[A-Za-z0-9_\-]{16,64}"),
    Rule("new-relic-license", "an ingest license key of New Relic", "[0-9a-f]{36}NRAL", ("NRAL",), r"[0-9a-f]{32,36}NRAL", back=36),
    Rule("sentry-token", "a token of Sentry", "sntrys_eyJ[A-Za-z0-9]{100}_[A-Za-z0-9]{43}|sntryu_[0-9a-f]{64}", ("sntrys_", "sntryu_", "sntrya_"), r"sntry[sua]_[A-Za-z0-9+/=_\-]{32,1024}"),
    Rule("grafana-token", "a token of Grafana", "glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/]{120}", ("glsa_", "glc_"), r"(?<![A-Za-z0-9])gl(?:sa|c)_[A-Za-z0-9+/=_]{32,512}"),
    Rule("dynatrace-token", "a token of Dynatrace", r"dt0c01\.[A-Z0-9]{24}\.[A-Z0-9]{64}", ("dt0",), r"dt0[a-z][0-9]{2}\.[A-Z0-9]{16,32}\.[A-Z0-9]{40,64}"),
    Rule("honeycomb-key", "a key of Honeycomb", "hc[abc]ik_[a-z0-9]{58}", ("hcaik_", "hcbik_", "hccik_", "hcxik_"), r"hc[a-z]ik_[A-Za-z0-9]{32,64}"),
    Rule("launchdarkly-key", "an SDK or API key of LaunchDarkly", f"(sdk|api)-{_UUID}", ("sdk-", "api-", "mob-"), rf"(?<![A-Za-z0-9])(?:sdk|api|mob)-{_UUID}(?![0-9a-f])"),
    Rule("okta-token", "a token of Okta", "SSWS 00[A-Za-z0-9_-]{40}", ("ssws", "okta"), rf"SSWS[\s+]{{1,4}}([A-Za-z0-9_\-]{{20,64}})|{near('okta', '00[A-Za-z0-9_-]{40}')}", is_any_case=True),
    Rule("asana-token", "a personal token of Asana", "[12]/[0-9]{16}:[0-9a-f]{32}", ("1/", "2/"), r"(?<![A-Za-z0-9/])[12]/[0-9]{12,20}(?:/[0-9]{12,20})?:[0-9a-f]{32}(?![0-9a-f])"),
    Rule(
        "named-service-key", "a key of Datadog, PagerDuty, Segment, Intercom, Zendesk, Trello, Asana, Airtable, Mixpanel, Amplitude, Rollbar, Postmark or LogDNA, by the name before it",
        "(DATADOG|DD|PAGERDUTY|TRELLO|ASANA|ROLLBAR|SEGMENT|INTERCOM)_API_KEY=[0-9a-f]{32}",
        ("datadog", "dd_api", "dd_app", "dd-api", "dd-app", "ddapi", "pagerduty", "segment", "intercom", "zendesk", "trello", "asana", "airtable", "mixpanel", "amplitude", "rollbar", "postmark", "logdna"),
        near("(?:datadog|dd[_\\-]?ap[ip]|pagerduty|segment|intercom|zendesk|trello|asana|airtable|mixpanel|amplitude|rollbar|postmark|logdna)", r"(?=[A-Za-z_\-]{0,60}[0-9])[A-Za-z0-9_\-+]{16,80}"),
        is_own_word, is_any_case=True,
    ),
)  # fmt: skip
