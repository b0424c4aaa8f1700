/* A stand-in for the Copilot API that costs almost nothing: one thread, epoll, HTTP/1.1 with keep-alive.
 *
 *   mock_upstream [--port N] [--events N] [--gap-ms G] [--fault none|no-done|no-usage|cut|status] [--quota-headers]
 *
 * A streamed answer has as many content events, and the gap between them, as the marker `bench-events=200-gap=10`
 * anywhere in the request says; a client puts it in the `user` field, which survives a gateway that passes unknown
 * fields through. Gap 0 is a burst from one buffer, its events packed into chunks of about 16 KB, or as many bytes as
 * `-chunk=N` behind the marker says (1: a chunk for every event). Any other gap gives every event its own chunk and its
 * own write; the first content event leaves at once, the second after a random part of the gap, so that streams do not
 * tick in step.
 * `GET /_bench/stats` tells how many requests came. Prints `listening on http://127.0.0.1:PORT` when ready. */
#define _GNU_SOURCE
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_BODY (16u << 20)
#define MAX_HEAD (64u << 10)
#define MAX_EVENTS_IN_STREAM 100000
#define READ_SIZE (256u << 10)
#define TICK_NS 100000ull /* events leave on a grid of 0.1 ms: one timer a tick, about what a network card coalesces */

/* ---- what it says: the shapes of Azure-hosted models behind Copilot ---- */

#define SAFE                                                                                                           \
    "{\"hate\":{\"filtered\":false,\"severity\":\"safe\"},\"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},"   \
    "\"sexual\":{\"filtered\":false,\"severity\":\"safe\"},\"violence\":{\"filtered\":false,\"severity\":\"safe\"}}"
#define IDENTITY                                                                                                       \
    "\"created\":1770000000,\"id\":\"chatcmpl-CkQ1bench00000000000000000001\",\"model\":\"gpt-4.1-2025-04-14\""
#define FINGERPRINT "\"system_fingerprint\":\"fp_bench00001\""
#define USAGE                                                                                                          \
    "\"usage\":{\"completion_tokens\":5,\"completion_tokens_details\":{\"accepted_prediction_tokens\":0,"              \
    "\"rejected_prediction_tokens\":0},\"prompt_tokens\":24,\"prompt_tokens_details\":{\"cached_tokens\":0},"          \
    "\"total_tokens\":29}"
#define DETAIL(count, type)                                                                                            \
    "{\"batch_size\":1000000,\"cost_per_batch\":200000000000,\"token_count\":" #count ",\"token_type\":\"" type "\"}"
#define COPILOT_USAGE                                                                                                  \
    "\"copilot_usage\":{\"token_details\":[" DETAIL(24, "input") "," DETAIL(0, "cache_read") "," DETAIL(5, "output")   \
        "],\"total_nano_aiu\":5800000}"

static const char WHOLE[] =
    "{\"choices\":[{\"content_filter_results\":" SAFE ",\"finish_reason\":\"stop\",\"index\":0,\"message\":{"
    "\"content\":\"Hello from Copilot.\",\"padding\":\"abcdef\",\"refusal\":null,\"role\":\"assistant\"}}]," IDENTITY
    ",\"prompt_filter_results\":[{\"content_filter_results\":" SAFE ",\"prompt_index\":0}]," FINGERPRINT "," USAGE
    "," COPILOT_USAGE "}";

static const char PREAMBLE[] = "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"prompt_filter_results\":[{"
                               "\"content_filter_results\":" SAFE ",\"prompt_index\":0}]}\n\n";
static const char ROLE[] = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\",\"role\":\"assistant\"}}],"
                           IDENTITY "," FINGERPRINT "}\n\n";
static const char CONTENT[] = "data: {\"choices\":[{\"index\":0,\"content_filter_results\":" SAFE
                              ",\"delta\":{\"content\":\" token\"}}]," IDENTITY "," FINGERPRINT "}\n\n";
static const char FINISH[] = "data: {\"choices\":[{\"index\":0,\"content_filter_results\":" SAFE
                             ",\"delta\":{\"content\":null},\"finish_reason\":\"stop\"}]," IDENTITY "," FINGERPRINT
                             "}\n\n";
static const char USAGE_EVENT[] = "data: {\"choices\":[]," IDENTITY "," FINGERPRINT "," USAGE "," COPILOT_USAGE "}\n\n";
static const char DONE[] = "data: [DONE]\n\n";

static const char MODELS[] =
    "{\"data\":[{\"billing\":{\"is_premium\":false,\"multiplier\":0},\"capabilities\":{\"family\":\"gpt-4.1\","
    "\"limits\":{\"max_context_window_tokens\":128000,\"max_output_tokens\":16384,\"max_prompt_tokens\":128000},"
    "\"object\":\"model_capabilities\",\"supports\":{\"parallel_tool_calls\":true,\"streaming\":true,"
    "\"tool_calls\":true,\"structured_outputs\":true},\"tokenizer\":\"o200k_base\",\"type\":\"chat\"},"
    "\"id\":\"gpt-4.1\",\"is_chat_default\":true,\"is_chat_fallback\":true,\"model_picker_category\":\"versatile\","
    "\"model_picker_enabled\":true,\"name\":\"GPT-4.1\",\"object\":\"model\",\"policy\":{\"state\":\"enabled\","
    "\"terms\":\"sample\"},\"preview\":false,\"supported_endpoints\":[\"/chat/completions\"],"
    "\"vendor\":\"Azure OpenAI\",\"version\":\"gpt-4.1-2025-04-14\"}],\"object\":\"list\"}";

#define SNAPSHOT(id)                                                                                                   \
    "\"" id "\":{\"entitlement\":0,\"overage_count\":0,\"overage_permitted\":false,\"percent_remaining\":100.0,"       \
    "\"quota_id\":\"" id "\",\"quota_remaining\":0.0,\"remaining\":0,\"unlimited\":true,"                              \
    "\"timestamp_utc\":\"2026-03-10T12:00:00.000Z\"}"

static const char REQUEST_ID[] = "x-request-id: 00000000-0000-4000-8000-0000000000be\r\n";
static const char QUOTA_HEADER[] = "x-quota-snapshot-premium_interactions: "
                                   "ent=300&ov=0.0&ovPerm=false&rem=90.3&rst=2026-04-01T00%3A00%3A00Z\r\n";

/* ---- connections ---- */

enum phase { READ_HEAD, READ_BODY, STREAMING };

struct conn {
    int fd;
    enum phase phase;
    struct buf in, body, out; /* bytes not yet parsed; the body read so far; answers the socket did not take */
    const char *rest;         /* the untaken part of an answer that lives for ever */
    size_t rest_len;
    bool wants_write, close_after, is_chunked_in;
    uint64_t body_left;
    struct chunked decoder;
    char method[8], path[128];
    unsigned sent_events, total_events; /* content events */
    bool with_usage;
    uint64_t gap_ns, due_ns;
    size_t heap_at; /* index in the heap plus one; 0 = not in it */
};

static int epoll_fd, port;
static unsigned default_events = 50, default_gap_ms;
static bool with_quota_headers;
static enum { NO_FAULT, NO_DONE, NO_USAGE, CUT, STATUS } fault;
static struct { uint64_t requests, chats, streams, aborted, connections; } stats;
static uint64_t seed = 0x9E3779B97F4A7C15ull;
static char read_buffer[READ_SIZE];
static struct conn *closed_head[65536]; /* connections are freed after their batch: later events may still name them */
static size_t closed_count;

static struct conn **heap;
static size_t heap_len, heap_cap;

static void heap_put(size_t i, struct conn *c) {
    heap[i] = c;
    c->heap_at = i + 1;
}

static void heap_up(size_t i) {
    struct conn *c = heap[i];
    while (i > 0 && heap[(i - 1) / 2]->due_ns > c->due_ns) {
        heap_put(i, heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_put(i, c);
}

static void heap_down(size_t i) {
    struct conn *c = heap[i];
    for (size_t child; (child = 2 * i + 1) < heap_len; i = child) {
        if (child + 1 < heap_len && heap[child + 1]->due_ns < heap[child]->due_ns) child++;
        if (heap[child]->due_ns >= c->due_ns) break;
        heap_put(i, heap[child]);
    }
    heap_put(i, c);
}

static void heap_add(struct conn *c) {
    if (heap_len == heap_cap) {
        heap_cap = heap_cap ? heap_cap * 2 : 1024;
        heap = realloc(heap, heap_cap * sizeof *heap);
        if (!heap) die("realloc");
    }
    heap[heap_len++] = c;
    heap_up(heap_len - 1);
}

static void heap_remove(struct conn *c) {
    if (!c->heap_at) return;
    size_t i = c->heap_at - 1;
    c->heap_at = 0;
    struct conn *last = heap[--heap_len];
    if (last == c) return;
    heap_put(i, last);
    heap_up(i);
    heap_down(last->heap_at - 1);
}

static void conn_close(struct conn *c) {
    if (c->fd < 0) return;
    if (c->phase == STREAMING) stats.aborted++;
    heap_remove(c);
    close(c->fd);
    c->fd = -1;
    if (closed_count < sizeof closed_head / sizeof *closed_head) closed_head[closed_count++] = c;
}

static void watch(struct conn *c, bool wants_write) {
    if (c->wants_write == wants_write) return;
    c->wants_write = wants_write;
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

/* Write what may be written, keep the rest. `lasts` says the bytes outlive the connection and need no copy. */
static void conn_write(struct conn *c, const char *data, size_t n, bool lasts) {
    if (c->fd < 0) return;
    if (c->out.len || c->rest_len) {
        if (c->rest_len) {
            buf_add(&c->out, c->rest, c->rest_len);
            c->rest_len = 0;
        }
        buf_add(&c->out, data, n);
        return;
    }
    ssize_t wrote = send(c->fd, data, n, MSG_NOSIGNAL);
    if (wrote < 0 && errno != EAGAIN) {
        conn_close(c);
        return;
    }
    size_t done = wrote < 0 ? 0 : (size_t)wrote;
    if (done == n) return;
    if (lasts) {
        c->rest = data + done;
        c->rest_len = n - done;
    } else
        buf_add(&c->out, data + done, n - done);
    watch(c, true);
}

static void conn_flush(struct conn *c) {
    const char *data = c->rest_len ? c->rest : c->out.data;
    size_t n = c->rest_len ? c->rest_len : c->out.len;
    ssize_t wrote = n ? send(c->fd, data, n, MSG_NOSIGNAL) : 0;
    if (wrote < 0) {
        if (errno != EAGAIN) conn_close(c);
        return;
    }
    if (c->rest_len) {
        c->rest += wrote;
        c->rest_len -= (size_t)wrote;
    } else
        buf_drop_front(&c->out, (size_t)wrote);
    if (!c->rest_len && !c->out.len) {
        watch(c, false);
        if (c->close_after) conn_close(c);
    }
}

/* ---- answers ---- */

static void add_chunk(struct buf *b, const char *text, size_t n) {
    char size[16];
    buf_add(b, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", n));
    buf_add(b, text, n);
    buf_add(b, "\r\n", 2);
}

static void write_event(struct conn *c, const char *text, size_t n) {
    static struct buf chunk;
    chunk.len = 0;
    add_chunk(&chunk, text, n);
    conn_write(c, chunk.data, chunk.len, false);
}

#define EVENT(c, text) write_event(c, text, sizeof(text) - 1)

static void add_stream_head(struct buf *b) {
    buf_puts(b, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n");
    buf_puts(b, REQUEST_ID);
    if (with_quota_headers) buf_puts(b, QUOTA_HEADER);
    buf_puts(b, "\r\n");
}

static struct buf json_answer(const char *status, const char *body) {
    struct buf b = {0};
    char line[128];
    buf_puts(&b, "HTTP/1.1 ");
    buf_puts(&b, status);
    snprintf(line, sizeof line, "\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n", strlen(body));
    buf_puts(&b, line);
    buf_puts(&b, REQUEST_ID);
    if (with_quota_headers) buf_puts(&b, QUOTA_HEADER);
    buf_puts(&b, "\r\n");
    buf_puts(&b, body);
    return b;
}

static void answer(struct conn *c, const char *status, const char *body) {
    struct buf b = json_answer(status, body);
    conn_write(c, b.data, b.len, false);
    buf_free(&b);
}

static void pack(struct buf *b, struct buf *packed, const char *event, size_t n, unsigned chunk_bytes) {
    buf_add(packed, event, n);
    if (packed->len < chunk_bytes) return;
    add_chunk(b, packed->data, packed->len);
    packed->len = 0;
}

/* A burst is rendered once for each length and kept. */
static const struct buf *burst(unsigned events, bool with_usage, unsigned chunk_bytes) {
    static struct { unsigned events, chunk_bytes; bool with_usage; struct buf bytes; } kept[16];
    static unsigned count;
    struct buf packed = {0};
    for (unsigned i = 0; i < count; i++)
        if (kept[i].events == events && kept[i].chunk_bytes == chunk_bytes && kept[i].with_usage == with_usage)
            return &kept[i].bytes;
    if (count == sizeof kept / sizeof *kept) return NULL;
    struct buf *b = &kept[count].bytes;
    kept[count].events = events;
    kept[count].chunk_bytes = chunk_bytes;
    kept[count++].with_usage = with_usage;
    add_stream_head(b);
    pack(b, &packed, PREAMBLE, sizeof PREAMBLE - 1, chunk_bytes);
    pack(b, &packed, ROLE, sizeof ROLE - 1, chunk_bytes);
    for (unsigned i = 0; i < events; i++) pack(b, &packed, CONTENT, sizeof CONTENT - 1, chunk_bytes);
    pack(b, &packed, FINISH, sizeof FINISH - 1, chunk_bytes);
    if (with_usage) pack(b, &packed, USAGE_EVENT, sizeof USAGE_EVENT - 1, chunk_bytes);
    if (fault != NO_DONE) pack(b, &packed, DONE, sizeof DONE - 1, chunk_bytes);
    if (packed.len) add_chunk(b, packed.data, packed.len);
    buf_puts(b, "0\r\n\r\n");
    buf_free(&packed);
    return b;
}

static void stream_end(struct conn *c) {
    EVENT(c, FINISH);
    if (c->with_usage) EVENT(c, USAGE_EVENT);
    if (fault != NO_DONE) EVENT(c, DONE);
    conn_write(c, "0\r\n\r\n", 5, true);
    if (c->fd >= 0) c->phase = READ_HEAD;
}

static void stream_step(struct conn *c) {
    if (c->sent_events == c->total_events) {
        stream_end(c);
        return;
    }
    if (fault == CUT && c->sent_events >= c->total_events / 2) {
        conn_close(c);
        return;
    }
    EVENT(c, CONTENT);
    if (c->fd < 0) return;
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    if (++c->sent_events == 1)
        c->due_ns = now_ns() + c->gap_ns / 1024 * (seed >> 54);
    else
        c->due_ns += c->gap_ns;
    heap_add(c);
}

static void stream_begin(struct conn *c, unsigned events, unsigned gap_ms, unsigned chunk_bytes, bool with_usage) {
    static struct buf head;
    stats.streams++;
    if (gap_ms == 0 && fault != CUT) {
        const struct buf *b = burst(events, with_usage, chunk_bytes);
        if (!b) {
            answer(c, "500 Internal Server Error", "{\"error\":{\"message\":\"too many different bursts\"}}");
            return;
        }
        conn_write(c, b->data, b->len, true);
        return;
    }
    c->phase = STREAMING;
    c->sent_events = 0;
    c->total_events = events;
    c->with_usage = with_usage;
    c->gap_ns = (uint64_t)gap_ms * 1000000ull;
    if (!head.len) add_stream_head(&head);
    conn_write(c, head.data, head.len, true);
    EVENT(c, PREAMBLE);
    EVENT(c, ROLE);
    if (c->fd >= 0) stream_step(c);
}

/* Does the body hold `"name"` with the value true? Inside a string the quotes would be escaped, so text cannot match. */
static bool says_true(const struct buf *body, const char *quoted_name) {
    size_t n = strlen(quoted_name);
    const char *p = body->data, *end = body->data + body->len;
    while (p && (p = memmem(p, (size_t)(end - p), quoted_name, n))) {
        p += n;
        while (p < end && (*p == ' ' || *p == '\n')) p++;
        if (p == end || *p != ':') continue;
        p++;
        while (p < end && (*p == ' ' || *p == '\n')) p++;
        if (end - p >= 4 && memcmp(p, "true", 4) == 0) return true;
    }
    return false;
}

static void answer_chat(struct conn *c) {
    static struct buf whole;
    stats.chats++;
    if (fault == STATUS) {
        answer(c, "500 Internal Server Error", "{\"error\":{\"message\":\"as asked\",\"code\":\"internal\"}}");
        return;
    }
    if (!says_true(&c->body, "\"stream\"")) {
        if (!whole.len) whole = json_answer("200 OK", WHOLE);
        conn_write(c, whole.data, whole.len, true);
        return;
    }
    unsigned events = default_events, gap_ms = default_gap_ms, chunk_bytes = 16384;
    const char *marker = memmem(c->body.data, c->body.len, "bench-events=", 13);
    if (marker) sscanf(marker, "bench-events=%u-gap=%u-chunk=%u", &events, &gap_ms, &chunk_bytes);
    if (events > MAX_EVENTS_IN_STREAM) events = MAX_EVENTS_IN_STREAM;
    stream_begin(c, events, gap_ms, chunk_bytes, fault != NO_USAGE && says_true(&c->body, "\"include_usage\""));
}

static void answer_get(struct conn *c) {
    char body[2048];
    if (strcmp(c->path, "/models") == 0) {
        answer(c, "200 OK", MODELS);
    } else if (strcmp(c->path, "/user") == 0) {
        answer(c, "200 OK", "{\"id\":1,\"login\":\"octocat\",\"type\":\"User\"}");
    } else if (strcmp(c->path, "/copilot_internal/user") == 0) {
        snprintf(body, sizeof body,
                 "{\"login\":\"octocat\",\"access_type_sku\":\"monthly_subscriber_quota\",\"chat_enabled\":true,"
                 "\"copilot_plan\":\"individual\",\"endpoints\":{\"api\":\"http://127.0.0.1:%d\"},"
                 "\"quota_reset_date\":\"2099-01-01\",\"quota_snapshots\":{%s,%s,%s}}",
                 port, SNAPSHOT("chat"), SNAPSHOT("completions"), SNAPSHOT("premium_interactions"));
        answer(c, "200 OK", body);
    } else if (strcmp(c->path, "/copilot_internal/v2/token") == 0) {
        snprintf(body, sizeof body,
                 "{\"chat_enabled\":true,\"endpoints\":{\"api\":\"http://127.0.0.1:%d\"},\"expires_at\":4102444800,"
                 "\"individual\":true,\"refresh_in\":86400,\"sku\":\"monthly_subscriber_quota\","
                 "\"token\":\"tid=0123456789abcdef0123456789abcdef;exp=4102444800;sku=monthly_subscriber_quota;"
                 "st=dotcom;chat=1;8kp=1:7b7b7b7b\",\"tracking_id\":\"0123456789abcdef0123456789abcdef\"}",
                 port);
        answer(c, "200 OK", body);
    } else if (strcmp(c->path, "/_bench/stats") == 0) {
        snprintf(body, sizeof body,
                 "{\"requests\":%llu,\"chats\":%llu,\"streams\":%llu,\"aborted\":%llu,\"connections\":%llu}",
                 (unsigned long long)stats.requests, (unsigned long long)stats.chats,
                 (unsigned long long)stats.streams, (unsigned long long)stats.aborted,
                 (unsigned long long)stats.connections);
        answer(c, "200 OK", body);
    } else
        answer(c, "404 Not Found", "{\"message\":\"Not Found\"}");
}

static void dispatch(struct conn *c) {
    stats.requests++;
    c->phase = READ_HEAD;
    if (strcmp(c->method, "POST") == 0 && strcmp(c->path, "/chat/completions") == 0)
        answer_chat(c);
    else if (strcmp(c->method, "GET") == 0)
        answer_get(c);
    else
        answer(c, "404 Not Found", "{\"message\":\"Not Found\"}");
    c->body.len = 0;
    if (c->close_after && c->fd >= 0 && c->phase != STREAMING && !c->out.len && !c->rest_len) conn_close(c);
}

/* ---- requests ---- */

static bool parse_head(struct conn *c, const char *head, size_t len) {
    const char *value;
    if (sscanf(head, "%7s %127[^ ?]", c->method, c->path) != 2) return false;
    value = header_value(head, len, "connection:");
    c->close_after = value && strncasecmp(value, "close", 5) == 0;
    value = header_value(head, len, "transfer-encoding:");
    c->is_chunked_in = value && strncasecmp(value, "chunked", 7) == 0;
    value = header_value(head, len, "content-length:");
    c->body_left = value && !c->is_chunked_in ? strtoull(value, NULL, 10) : 0;
    memset(&c->decoder, 0, sizeof c->decoder);
    c->phase = READ_BODY;
    return c->body_left <= MAX_BODY;
}

/* Take bytes of the body; returns how many were used. */
static size_t take_body(struct conn *c, const char *data, size_t n, bool *is_whole) {
    uint64_t chunks = 0;
    size_t used;
    if (c->is_chunked_in) {
        used = chunked_feed(&c->decoder, data, n, &c->body, &chunks);
        *is_whole = c->decoder.state == CH_DONE;
        if (c->decoder.state == CH_BAD || c->body.len > MAX_BODY) conn_close(c);
        return used;
    }
    used = n < c->body_left ? n : (size_t)c->body_left;
    buf_add(&c->body, data, used);
    c->body_left -= used;
    *is_whole = c->body_left == 0;
    return used;
}

static void take(struct conn *c, const char *data, size_t n) {
    while (c->fd >= 0) {
        if (c->phase == READ_HEAD) {
            if (n == 0) return;
            buf_add(&c->in, data, n);
            n = 0;
            char *end = memmem(c->in.data, c->in.len, "\r\n\r\n", 4);
            if (!end) {
                if (c->in.len > MAX_HEAD) conn_close(c);
                return;
            }
            size_t head_len = (size_t)(end - c->in.data) + 4;
            end[3] = '\0';
            if (!parse_head(c, c->in.data, head_len)) {
                conn_close(c);
                return;
            }
            buf_drop_front(&c->in, head_len);
        } else if (c->phase == READ_BODY) {
            bool is_whole = false;
            if (c->in.len) { /* what came with the head */
                size_t used = take_body(c, c->in.data, c->in.len, &is_whole);
                buf_drop_front(&c->in, used);
            } else {
                size_t used = take_body(c, data, n, &is_whole);
                data += used;
                n -= used;
            }
            if (c->fd < 0) return;
            if (is_whole)
                dispatch(c);
            else if (n == 0 && c->in.len == 0)
                return;
        } else { /* a client that sends during its stream is kept waiting */
            buf_add(&c->in, data, n);
            return;
        }
    }
}

static void conn_read(struct conn *c) {
    ssize_t n = recv(c->fd, read_buffer, sizeof read_buffer, 0);
    if (n > 0)
        take(c, read_buffer, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        conn_close(c);
}

static void accept_all(int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        if (!c) die("calloc");
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
        stats.connections++;
    }
}

static void run_due(uint64_t now) {
    while (heap_len && heap[0]->due_ns <= now) {
        struct conn *c = heap[0];
        heap_remove(c);
        stream_step(c);
    }
}

static void serve(int listener) {
    static struct epoll_event events[512];
    for (;;) {
        struct timespec wait, *timeout = NULL;
        if (heap_len) {
            uint64_t now = now_ns(), due = (heap[0]->due_ns + TICK_NS - 1) / TICK_NS * TICK_NS, left = due > now ? due - now : 0;
            wait = (struct timespec){.tv_sec = (time_t)(left / 1000000000ull), .tv_nsec = (long)(left % 1000000000ull)};
            timeout = &wait;
        }
        int n = epoll_pwait2(epoll_fd, events, 512, timeout, NULL);
        if (n < 0 && errno != EINTR) die("epoll_pwait2 (needs Linux 5.11)");
        run_due(now_ns());
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c) {
                accept_all(listener);
                continue;
            }
            if (c->fd >= 0 && events[i].events & EPOLLOUT) conn_flush(c);
            if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) conn_read(c);
        }
        while (closed_count) {
            struct conn *c = closed_head[--closed_count];
            buf_free(&c->in);
            buf_free(&c->body);
            buf_free(&c->out);
            free(c);
        }
    }
}

static int listen_on(int wanted_port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)wanted_port)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    if (listen(listener, 4096) < 0) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &len);
    port = ntohs(address.sin_port);
    return listener;
}

static void parse_fault(const char *name) {
    static const char *const names[] = {"none", "no-done", "no-usage", "cut", "status"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            fault = i;
            return;
        }
    fprintf(stderr, "unknown fault: %s\n", name);
    exit(2);
}

int main(int argc, char **argv) {
    int wanted_port = 0;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--quota-headers") == 0) {
            with_quota_headers = true;
            continue;
        }
        if (strcmp(argv[i], "--port") == 0)
            wanted_port = atoi(value);
        else if (strcmp(argv[i], "--events") == 0)
            default_events = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--gap-ms") == 0)
            default_gap_ms = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--fault") == 0)
            parse_fault(value);
        else {
            fprintf(stderr, "unknown argument: %s\n", argv[i]);
            return 2;
        }
        i++;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlives the runner */
    prctl(PR_SET_TIMERSLACK, 1000ul); /* the tick is the only grid */
    int listener = listen_on(wanted_port);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    printf("listening on http://127.0.0.1:%d\n", port);
    fflush(stdout);
    serve(listener);
}
