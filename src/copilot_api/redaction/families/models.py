"""Vendors of models, and the services around them."""

import re

from copilot_api.redaction.families.shapes import near
from copilot_api.redaction.plausible import is_example, is_no_example, is_own_word, is_worded
from copilot_api.redaction.rule import Rule

_TAIL = re.compile(r"\Ask-(?:[a-z]{2,8}[0-9]{0,2}-)*+")
_DIGIT = re.compile(r"[0-9]")
_UNBROKEN = re.compile(r"[A-Za-z0-9]{20,}")
_CHANGE = re.compile(r"(?<=[A-Za-z])[0-9]|(?<=[0-9])[A-Za-z]")
_CHANGES = 3
"""From letters to digits or back: so many are in no word, however well its letters can be said aloud."""


def _is_key(secret: str) -> bool:
    """Whether what follows `sk-` is a key, not the class of a style sheet or an example."""
    tail = _TAIL.sub("", secret, count=1)
    if is_example(secret) or _DIGIT.search(tail) is None:
        return False
    return not is_worded(tail) or (_UNBROKEN.fullmatch(tail) is not None and len(_CHANGE.findall(tail)) >= _CHANGES)


MODELS = (
    Rule(
        "anthropic-key", "a key of Anthropic", "sk-ant-(api|oat|admin)0[13]-[A-Za-z0-9_-]{93}AA",
        ("sk-ant-",), r"sk-ant-[A-Za-z0-9_\-]{16,512}", is_no_example,
    ),
    Rule(
        "openai-key", "a key of OpenAI: project, service account, admin or of the first form",
        "sk-proj-[A-Za-z0-9_-]{74}T3BlbkFJ[A-Za-z0-9_-]{74}|sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|sk-(svcacct|admin)-[A-Za-z0-9_-]{60}T3BlbkFJ[A-Za-z0-9_-]{60}",
        ("sk-",), r"sk-(?:[A-Za-z0-9_\-]{10,255}T3BlbkFJ[A-Za-z0-9_\-]{16,255}|(?:proj|svcacct|admin|None)-[A-Za-z0-9_\-]{20,512})",
        is_no_example,
    ),
    Rule("openrouter-key", "a key of OpenRouter", "sk-or-v1-[0-9a-f]{64}", ("sk-or-",), r"sk-or-(?:v[0-9]-)?[A-Za-z0-9]{24,255}"),
    Rule("langfuse-key", "a secret key of Langfuse", "sk-lf-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}", ("sk-lf-",), r"sk-lf-[0-9a-f\-]{24,128}"),
    Rule("elevenlabs-key", "a key of ElevenLabs", "sk_[0-9a-f]{48}", ("sk_",), r"(?<![A-Za-z0-9_])sk_[0-9a-f]{32,128}"),
    Rule("google-api-key", "an API key of Google", "AIza[A-Za-z0-9_-]{35}", ("AIza",), r"AIza[A-Za-z0-9_\-]{30,64}", is_no_example),
    Rule("google-oauth-token", "an OAuth token of Google", r"ya29\.[A-Za-z0-9_-]{120}", ("ya29.",), r"ya29\.[A-Za-z0-9_\-.]{16,2048}", is_no_example),
    Rule("google-client-secret", "a client secret of Google", "GOCSPX-[A-Za-z0-9_-]{28}", ("GOCSPX-",), r"GOCSPX-[A-Za-z0-9_\-]{16,64}"),
    Rule("google-refresh-token", "a refresh token of Google", "1//0[0-9a-z][A-Za-z0-9_-]{90}", ("1//0",), r"1//0[A-Za-z0-9_\-]{30,512}"),
    Rule("hugging-face-token", "a token of Hugging Face", "hf_[A-Za-z]{34}", ("hf_", "api_org_"), r"(?<![A-Za-z0-9])(?:hf_|api_org_)[A-Za-z0-9]{30,64}"),
    Rule("groq-key", "a key of Groq", "gsk_[A-Za-z0-9]{52}", ("gsk_",), r"(?<![A-Za-z0-9])gsk_[A-Za-z0-9]{30,128}"),
    Rule("xai-key", "a key of xAI", "xai-[A-Za-z0-9]{80}", ("xai-",), r"(?<![A-Za-z0-9])xai-[A-Za-z0-9]{40,128}"),
    Rule("perplexity-key", "a key of Perplexity", "pplx-[A-Za-z0-9]{48}", ("pplx-",), r"pplx-[A-Za-z0-9]{32,128}"),
    Rule("replicate-token", "a token of Replicate", "r8_[A-Za-z0-9]{37}", ("r8_",), r"(?<![A-Za-z0-9])r8_[A-Za-z0-9_]{30,64}"),
    Rule("fireworks-key", "a key of Fireworks", "fw_[A-Za-z0-9]{24}", ("fw_",), r"(?<![A-Za-z0-9])fw_(?=[A-Za-z]{0,23}[0-9])[A-Za-z0-9]{22,64}(?![A-Za-z0-9_])"),
    Rule("nvidia-key", "a key of NVIDIA", "nvapi-[A-Za-z0-9_-]{64}", ("nvapi-",), r"nvapi-[A-Za-z0-9_\-]{40,128}"),
    Rule("cerebras-key", "a key of Cerebras", "csk-[a-z0-9]{48}", ("csk-",), r"(?<![A-Za-z0-9])csk-[A-Za-z0-9]{32,128}"),
    Rule("together-key", "a key of Together", "tgp_v1_[A-Za-z0-9_-]{43}", ("tgp_v1_",), r"tgp_v1_[A-Za-z0-9_\-]{32,128}"),
    Rule("jina-key", "a key of Jina", "jina_[0-9a-f]{32}[A-Za-z0-9_-]{28}", ("jina_",), r"(?<![A-Za-z0-9])jina_(?=[a-z_]{0,40}[0-9A-Z])[A-Za-z0-9_\-]{40,128}"),
    Rule("tavily-key", "a key of Tavily", "tvly-[A-Za-z0-9]{32}", ("tvly-",), r"tvly-[A-Za-z0-9_\-]{24,128}"),
    Rule("langsmith-key", "a key of LangSmith", "lsv2_(pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}", ("lsv2_",), r"lsv2_(?:pt|sk)_[0-9a-z_]{32,128}"),
    Rule("pinecone-key", "a key of Pinecone", "pcsk_[A-Za-z0-9]{6}_[A-Za-z0-9]{63}", ("pcsk_",), r"pcsk_[A-Za-z0-9_]{32,255}"),
    Rule(
        "named-model-key", "a key of Mistral, Cohere, Together, Weights & Biases, Voyage, AssemblyAI or Deepgram, by the name before it",
        "(MISTRAL|COHERE|WANDB|DEEPGRAM|ASSEMBLYAI)_API_KEY=[0-9a-f]{40}",
        ("mistral", "cohere", "co_api", "together", "wandb", "voyage", "assemblyai", "deepgram"),
        near("(?:mistral|cohere|co_api|together|wandb|voyage|assemblyai|deepgram)", r"[A-Za-z0-9_\-]{32,64}", "key|token|secret"),
        is_own_word, is_any_case=True,
    ),
    Rule(
        "sk-key", "any other key that begins with sk- (DeepSeek, Moonshot, LiteLLM and many more)", "sk-[0-9a-f]{32}|sk-[A-Za-z0-9]{48}",
        ("sk-",), r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_\-]{16,512}|sk-(?=[A-Z]{0,44}[^A-Z])(?=[a-z]{0,44}[^a-z])[A-Za-z0-9]{44,255}", _is_key,
        in_logs=(("sk-",), r"sk-[A-Za-z0-9_-]{20,}"),
    ),
)  # fmt: skip
