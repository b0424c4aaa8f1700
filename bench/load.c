/* A closed-loop load generator for chat completions: one thread, epoll, N keep-alive connections that each send the next
 * request when the last answer is complete. It checks every answer, because a broken gateway is a fast one.
 *
 *   load --port N [--host 127.0.0.1] [--path /chat/completions] [--header 'Name: value']... [--connections N]
 *        [--duration S] [--count N] [--body-bytes N] [--stream] [--events N] [--gap-ms G] [--chunk-bytes N]
 *        [--ramp-ms N] [--settle-ms N] [--timeout-s S] [--print-body]
 *
 * --duration or --count (or both) ends the run; requests under way are finished. --ramp-ms spreads the first requests of
 * the connections; --settle-ms leaves requests begun before it out of the latencies, though they are checked and counted.
 * A whole answer must be 200, complete and hold "usage". A streamed one must also hold every content event, usage (the
 * request asks for it) and end with `data: [DONE]`. One JSON object goes to standard output. */
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

#define READ_SIZE (256u << 10)
#define MAX_CONNECTIONS 4096u
#define MAX_SECONDS 120.0
#define MAX_HEAD (64u << 10)
#define MAX_ANSWER (8u << 20)
#define MAX_FAILURES 2000u

static struct {
    const char *host, *path;
    int port;
    unsigned connections, events, gap_ms, chunk_bytes, ramp_ms, settle_ms;
    double duration, timeout;
    uint64_t count;
    size_t body_bytes;
    bool is_streamed, prints_body;
    struct buf headers;
} options = {.host = "127.0.0.1", .path = "/chat/completions", .connections = 1, .events = 50, .chunk_bytes = 16384, .timeout = 60,
             .body_bytes = 2048};

enum failure { CONNECT, STATUS, CUT, MALFORMED, NO_CONTENT, LOST_EVENTS, NO_USAGE, NO_DONE, TIMEOUT, FAILURES };
static const char *const failure_names[FAILURES] = {"connect",     "status",   "cut",     "malformed", "no_content",
                                                    "lost_events", "no_usage", "no_done", "timeout"};

enum phase { IDLE, CONNECTING, SENDING, HEAD, BODY };
enum framing { BY_LENGTH, BY_CHUNKS, BY_CLOSE };

struct conn {
    int fd;
    enum phase phase;
    enum framing framing;
    bool wants_write, closes, is_done, has_usage;
    int status;
    size_t sent;
    struct buf head, body; /* the head until it is whole; a whole body, or an event until it is whole */
    uint64_t body_left, begun_ns, first_ns, content_events;
    struct chunked decoder;
};

static struct {
    uint64_t begun, sent, finished, failed[FAILURES], events, chunks, reads, bytes, reconnects;
    int a_wrong_status;
    struct buf a_wrong_body;
} totals;

struct samples {
    uint64_t *ns;
    size_t len, cap;
};

static struct samples latencies, first_chunks;
static struct buf request;
static struct sockaddr_in target;
static struct conn *conns;
static int epoll_fd;
static unsigned busy; /* connections with a request under way */
static uint64_t start_ns, last_finish_ns;
static bool is_ending;
static char read_buffer[READ_SIZE];

static void sample(struct samples *s, uint64_t ns) {
    if (s->len == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4096;
        s->ns = realloc(s->ns, s->cap * sizeof *s->ns);
        if (!s->ns) die("realloc");
    }
    s->ns[s->len++] = ns;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Nearest rank, in microseconds; the samples are sorted. */
static double quantile_us(const struct samples *s, double q) {
    if (!s->len) return 0;
    size_t rank = (size_t)(q * (double)s->len + 0.999999);
    if (rank < 1) rank = 1;
    if (rank > s->len) rank = s->len;
    return (double)s->ns[rank - 1] / 1000.0;
}

/* ---- the request: compact JSON in the order of OpenAI's SDKs, filled up to a size with what an agent sends ---- */

static const char *const source_lines[] = {
    "def parse_request(body: bytes) -> ModelRequest:\\n", "    \\\"\\\"\\\"Read one request; unknown fields stay.\\\"\\\"\\\"\\n",
    "    fields = json.loads(body)\\n", "    if not isinstance(fields, dict):\\n",
    "        raise BadRequest(\\\"the body is not an object\\\")\\n",
    "    return ModelRequest(model=fields[\\\"model\\\"], raw=fields)\\n", "\\n", "# naïve but exact: a → b\\n",
    "for path in sorted(root.glob(\\\"**/*.py\\\")):\\n", "\\tprint(path, path.stat().st_size)\\n",
};

static void add_text(struct buf *b, size_t n) {
    size_t end = b->len + n;
    for (unsigned i = 0;; i++) {
        const char *line = source_lines[i % (sizeof source_lines / sizeof *source_lines)];
        if (b->len + strlen(line) > end) break;
        buf_puts(b, line);
    }
    while (b->len < end) buf_add(b, "x", 1);
}

static void add_tools(struct buf *b, unsigned count) {
    char tool[1024];
    buf_puts(b, "\"tools\":[");
    for (unsigned i = 0; i < count; i++) {
        snprintf(tool, sizeof tool,
                 "%s{\"type\":\"function\",\"function\":{\"name\":\"tool_%02u\",\"description\":\"Reads a part of a "
                 "file of the working tree and returns it with line numbers.\",\"parameters\":{\"type\":\"object\","
                 "\"properties\":{\"path\":{\"type\":\"string\",\"description\":\"relative to the root\"},\"offset\":{"
                 "\"type\":\"integer\",\"minimum\":0},\"limit\":{\"type\":\"integer\",\"minimum\":1}},\"required\":["
                 "\"path\"],\"additionalProperties\":false}}}",
                 i ? "," : "", i);
        buf_puts(b, tool);
    }
    buf_puts(b, "]");
}

static void add_tail(struct buf *b) {
    char text[256];
    buf_puts(b, "],\"model\":\"gpt-4.1\",\"max_tokens\":4096,");
    if (options.is_streamed) buf_puts(b, "\"stream\":true,\"stream_options\":{\"include_usage\":true},");
    buf_puts(b, "\"temperature\":0,\"tool_choice\":\"auto\",");
    add_tools(b, options.body_bytes > 16384 ? 16 : 1);
    snprintf(text, sizeof text, ",\"user\":\"bench-events=%u-gap=%u-chunk=%u\"}", options.events,
             options.gap_ms, options.chunk_bytes);
    buf_puts(b, text);
}

/* Tool calls and their results, as an agent's history holds them, until about `n` bytes are there. */
static void add_history(struct buf *b, size_t n) {
    char text[512];
    for (unsigned i = 0; n > 1024; i++) {
        size_t before = b->len, result = n - 1024 > 6000 ? 6000 : n - 600;
        snprintf(text, sizeof text,
                 ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_%05u\",\"type\":\"function\","
                 "\"function\":{\"name\":\"tool_%02u\",\"arguments\":\"{\\\"path\\\":\\\"src/part_%u.py\\\"}\"}}]},"
                 "{\"role\":\"tool\",\"tool_call_id\":\"call_%05u\",\"content\":\"",
                 i, i % 16, i, i);
        buf_puts(b, text);
        add_text(b, result);
        buf_puts(b, "\"}");
        n = b->len - before < n ? n - (b->len - before) : 0;
    }
}

static struct buf make_body(void) {
    struct buf b = {0}, tail = {0};
    add_tail(&tail);
    buf_puts(&b, "{\"messages\":[{\"role\":\"system\",\"content\":\"You are a careful engineer. Read before you write, "
                 "keep changes small, say what you did.\"},{\"role\":\"user\",\"content\":\"Explain this module.\\n");
    size_t fixed = b.len + tail.len + 2, left = options.body_bytes > fixed ? options.body_bytes - fixed : 0;
    add_text(&b, left > 2048 ? 2048 : left);
    buf_puts(&b, "\"}");
    add_history(&b, left > 2048 ? left - 2048 : 0);
    buf_add(&b, tail.data, tail.len);
    buf_free(&tail);
    return b;
}

static void make_request(void) {
    char line[512];
    struct buf body = make_body();
    if (options.prints_body) {
        fwrite(body.data, 1, body.len, stdout);
        exit(0);
    }
    snprintf(line, sizeof line,
             "POST %s HTTP/1.1\r\nhost: %s:%d\r\naccept: %s\r\ncontent-type: application/json\r\n"
             "user-agent: OpenAI/Python 2.8.0\r\ncontent-length: %zu\r\n",
             options.path, options.host, options.port, "application/json", body.len);
    buf_puts(&request, line);
    if (options.headers.len) buf_add(&request, options.headers.data, options.headers.len);
    buf_puts(&request, "\r\n");
    buf_add(&request, body.data, body.len);
    buf_free(&body);
}

/* ---- connections ---- */

static void next_request(struct conn *c);

static void watch(struct conn *c, bool wants_write) {
    if (c->wants_write == wants_write) return;
    c->wants_write = wants_write;
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void disconnect(struct conn *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void finish(struct conn *c, enum failure failure) {
    uint64_t now = now_ns();
    totals.finished++;
    busy--;
    last_finish_ns = now;
    c->phase = IDLE;
    if (failure != FAILURES) {
        totals.failed[failure]++;
        disconnect(c);
        uint64_t failed = 0;
        for (unsigned i = 0; i < FAILURES; i++) failed += totals.failed[i];
        if (failed >= MAX_FAILURES) is_ending = true;
    } else if (c->begun_ns - start_ns >= (uint64_t)options.settle_ms * 1000000ull) {
        sample(&latencies, now - c->begun_ns);
        if (options.is_streamed) sample(&first_chunks, c->first_ns - c->begun_ns);
    }
    if (c->closes) disconnect(c);
    if (c->fd < 0 && failure == FAILURES) totals.reconnects++;
    next_request(c);
}

static void send_more(struct conn *c) {
    ssize_t wrote = send(c->fd, request.data + c->sent, request.len - c->sent, MSG_NOSIGNAL);
    if (wrote < 0 && errno != EAGAIN) {
        finish(c, CUT);
        return;
    }
    if (wrote > 0) c->sent += (size_t)wrote;
    if (c->sent == request.len) {
        totals.sent++;
        c->phase = HEAD;
        watch(c, false);
    } else
        watch(c, true);
}

static void open_connection(struct conn *c) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(c->fd, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS) {
        finish(c, CONNECT);
        return;
    }
    c->phase = CONNECTING;
    c->wants_write = true;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void begin(struct conn *c) {
    totals.begun++;
    busy++;
    c->sent = c->head.len = c->body.len = 0;
    c->closes = c->is_done = c->has_usage = false;
    c->first_ns = c->content_events = 0;
    c->begun_ns = now_ns();
    if (c->fd < 0)
        open_connection(c);
    else {
        c->phase = SENDING;
        send_more(c);
    }
}

static bool may_begin(void) {
    if (is_ending || (options.count && totals.begun >= options.count)) return false;
    return options.duration <= 0 || (double)(now_ns() - start_ns) < options.duration * 1e9;
}

/* Reached again from begin() when a connection is refused at once; MAX_FAILURES bounds the depth. */
static void next_request(struct conn *c) {
    if (may_begin()) begin(c);
}

/* ---- answers ---- */

/* Does the event carry `"content":"` with at least one character? */
static bool has_content(const char *event, size_t n) {
    const char *p = event, *end = event + n;
    while ((p = memmem(p, (size_t)(end - p), "\"content\":", 10))) {
        p += 10;
        while (p < end && *p == ' ') p++;
        if (end - p >= 2 && p[0] == '"' && p[1] != '"') return true;
    }
    return false;
}

static void take_event(struct conn *c, const char *event, size_t n) {
    if (n < 5 || memcmp(event, "data:", 5) != 0) return; /* a comment, such as a keep-alive */
    totals.events++;
    c->is_done = n >= 12 && memmem(event, n, "[DONE]", 6) && n <= 14;
    if (has_content(event, n)) {
        if (!c->content_events++) c->first_ns = now_ns();
    } else if (memmem(event, n, "\"usage\":{", 9) || memmem(event, n, "\"usage\": {", 10))
        c->has_usage = true;
}

/* Cut whole events out of the body; what is left is the start of the next one. */
static void take_events(struct conn *c) {
    char *p = c->body.data, *end = p + c->body.len, *event = p;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
        size_t blank = end - p >= 2 && p[1] == '\n' ? 2 : end - p >= 3 && p[1] == '\r' && p[2] == '\n' ? 3 : 0;
        if (!blank) {
            p++;
            continue;
        }
        take_event(c, event, (size_t)(p - event));
        p += blank;
        event = p;
    }
    buf_drop_front(&c->body, (size_t)(event - c->body.data));
}

static enum failure judge(struct conn *c) {
    if (c->status != 200) {
        if (!totals.a_wrong_status) {
            totals.a_wrong_status = c->status;
            buf_add(&totals.a_wrong_body, c->body.data ? c->body.data : "", c->body.len > 400 ? 400 : c->body.len);
        }
        return STATUS;
    }
    if (!options.is_streamed)
        return c->body.len && memmem(c->body.data, c->body.len, "\"usage\":", 8) ? FAILURES : NO_USAGE;
    if (!c->content_events) return NO_CONTENT;
    if (c->content_events < options.events) return LOST_EVENTS;
    if (!c->has_usage) return NO_USAGE;
    return c->is_done ? FAILURES : NO_DONE;
}

static bool parse_head(struct conn *c) {
    const char *value;
    if (sscanf(c->head.data, "HTTP/1.1 %d", &c->status) != 1) return false;
    value = header_value(c->head.data, c->head.len, "connection:");
    c->closes = value && strncasecmp(value, "close", 5) == 0;
    memset(&c->decoder, 0, sizeof c->decoder);
    value = header_value(c->head.data, c->head.len, "transfer-encoding:");
    if (value && strncasecmp(value, "chunked", 7) == 0) {
        c->framing = BY_CHUNKS;
    } else if ((value = header_value(c->head.data, c->head.len, "content-length:"))) {
        c->framing = BY_LENGTH;
        c->body_left = strtoull(value, NULL, 10);
    } else
        c->framing = BY_CLOSE;
    c->phase = BODY;
    return true;
}

static size_t take_body(struct conn *c, const char *data, size_t n, bool *is_whole) {
    size_t used = n;
    *is_whole = false;
    if (c->framing == BY_CHUNKS) {
        used = chunked_feed(&c->decoder, data, n, &c->body, &totals.chunks);
        *is_whole = c->decoder.state >= CH_DONE;
    } else {
        if (c->framing == BY_LENGTH && used > c->body_left) used = (size_t)c->body_left;
        buf_add(&c->body, data, used);
        c->body_left -= used;
        *is_whole = c->framing == BY_LENGTH && c->body_left == 0;
    }
    if (options.is_streamed && c->status == 200 && c->body.len) take_events(c);
    return used;
}

static void take(struct conn *c, const char *data, size_t n) {
    bool is_whole = false;
    if (c->phase == HEAD) {
        size_t before = c->head.len;
        buf_add(&c->head, data, n);
        char *end = memmem(c->head.data, c->head.len, "\r\n\r\n", 4);
        if (!end) {
            if (c->head.len > MAX_HEAD) finish(c, MALFORMED);
            return;
        }
        size_t head_len = (size_t)(end - c->head.data) + 4;
        data += head_len - before;
        n -= head_len - before;
        c->head.len = head_len;
        end[3] = '\0';
        if (!parse_head(c)) {
            finish(c, MALFORMED);
            return;
        }
    } else if (c->phase != BODY) { /* bytes that nobody asked for */
        if (c->phase != IDLE) finish(c, MALFORMED);
        return;
    }
    size_t used = take_body(c, data, n, &is_whole);
    if (c->decoder.state == CH_BAD || (is_whole && used < n) || c->body.len > MAX_ANSWER)
        finish(c, MALFORMED);
    else if (is_whole)
        finish(c, judge(c));
}

static void conn_read(struct conn *c) {
    ssize_t n = recv(c->fd, read_buffer, sizeof read_buffer, 0);
    if (n > 0) {
        totals.reads++;
        totals.bytes += (uint64_t)n;
        take(c, read_buffer, (size_t)n);
    } else if (n == 0 || errno != EAGAIN) {
        if (c->phase == IDLE)
            disconnect(c);
        else if (n == 0 && c->phase == BODY && c->framing == BY_CLOSE) {
            c->closes = true;
            finish(c, judge(c));
        } else
            finish(c, CUT);
    }
}

static void connected(struct conn *c) {
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        finish(c, CONNECT);
        return;
    }
    c->phase = SENDING;
    send_more(c);
}

/* ---- the run ---- */

static void expire(void) {
    uint64_t now = now_ns(); /* read here: a request begun after the loop's own reading would seem ages old */
    for (unsigned i = 0; i < options.connections; i++)
        if (conns[i].phase != IDLE && (double)(now - conns[i].begun_ns) > options.timeout * 1e9) finish(&conns[i], TIMEOUT);
}

static void run(void) {
    static struct epoll_event events[512];
    unsigned started = 0;
    uint64_t expire_at = now_ns() + 1000000000ull;
    start_ns = last_finish_ns = now_ns();
    while (busy || (started < options.connections && may_begin())) {
        uint64_t now = now_ns(), wake = expire_at;
        while (started < options.connections) {
            uint64_t due = start_ns + (uint64_t)options.ramp_ms * 1000000ull / options.connections * started;
            if (due > now) {
                if (due < wake) wake = due;
                break;
            }
            next_request(&conns[started++]);
        }
        if (now >= expire_at) {
            expire();
            expire_at = now + 1000000000ull;
        }
        uint64_t left = wake > now ? wake - now : 0;
        struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000ull), .tv_nsec = (long)(left % 1000000000ull)};
        int n = epoll_pwait2(epoll_fd, events, 512, &timeout, NULL);
        if (n < 0 && errno != EINTR) die("epoll_pwait2 (needs Linux 5.11)");
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (c->fd < 0) continue;
            if (c->phase == CONNECTING)
                connected(c);
            else if (c->phase == SENDING && events[i].events & EPOLLOUT)
                send_more(c);
            else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                conn_read(c);
        }
    }
}

static void print_json_string(const struct buf *text) {
    putchar('"');
    for (size_t i = 0; i < text->len; i++) {
        unsigned char ch = (unsigned char)text->data[i];
        if (ch == '"' || ch == '\\')
            printf("\\%c", ch);
        else if (ch < 32 || ch > 126)
            printf("\\u%04x", ch);
        else
            putchar(ch);
    }
    putchar('"');
}

static void print_latencies(const char *name, struct samples *s) {
    if (s->len) qsort(s->ns, s->len, sizeof *s->ns, by_value);
    printf(",\"%s\":{\"samples\":%zu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name, s->len,
           quantile_us(s, 0.5), quantile_us(s, 0.9), quantile_us(s, 0.99), quantile_us(s, 1));
}

static void print_report(void) {
    struct rusage used;
    uint64_t failures = 0;
    double seconds = (double)(last_finish_ns - start_ns) / 1e9;
    getrusage(RUSAGE_SELF, &used);
    for (unsigned i = 0; i < FAILURES; i++) failures += totals.failed[i];
    printf("{\"requests\":%llu,\"sent\":%llu,\"failures\":%llu,\"failures_by_kind\":{", (unsigned long long)totals.finished,
           (unsigned long long)totals.sent, (unsigned long long)failures);
    for (unsigned i = 0, printed = 0; i < FAILURES; i++)
        if (totals.failed[i])
            printf("%s\"%s\":%llu", printed++ ? "," : "", failure_names[i], (unsigned long long)totals.failed[i]);
    printf("},\"seconds\":%.4f,\"rps\":%.1f", seconds, seconds > 0 ? (double)(totals.finished - failures) / seconds : 0);
    print_latencies("latency_us", &latencies);
    print_latencies("first_chunk_us", &first_chunks);
    printf(",\"events\":%llu,\"chunks\":%llu,\"reads\":%llu,\"bytes\":%llu,\"reconnects\":%llu,\"request_bytes\":%zu",
           (unsigned long long)totals.events, (unsigned long long)totals.chunks, (unsigned long long)totals.reads,
           (unsigned long long)totals.bytes, (unsigned long long)totals.reconnects, request.len);
    printf(",\"cpu_seconds\":%.4f",
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    if (totals.a_wrong_status) {
        printf(",\"a_wrong_status\":%d,\"a_wrong_body\":", totals.a_wrong_status);
        print_json_string(&totals.a_wrong_body);
    }
    printf("}\n");
}

static void parse_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(name, "--stream") == 0) {
            options.is_streamed = true;
            continue;
        }
        if (strcmp(name, "--print-body") == 0) {
            options.prints_body = true;
            continue;
        }
        i++;
        if (strcmp(name, "--host") == 0)
            options.host = value;
        else if (strcmp(name, "--port") == 0)
            options.port = atoi(value);
        else if (strcmp(name, "--path") == 0)
            options.path = value;
        else if (strcmp(name, "--header") == 0) {
            buf_puts(&options.headers, value);
            buf_puts(&options.headers, "\r\n");
        } else if (strcmp(name, "--connections") == 0)
            options.connections = (unsigned)atoi(value);
        else if (strcmp(name, "--duration") == 0)
            options.duration = atof(value);
        else if (strcmp(name, "--count") == 0)
            options.count = strtoull(value, NULL, 10);
        else if (strcmp(name, "--body-bytes") == 0)
            options.body_bytes = strtoull(value, NULL, 10);
        else if (strcmp(name, "--events") == 0)
            options.events = (unsigned)atoi(value);
        else if (strcmp(name, "--gap-ms") == 0)
            options.gap_ms = (unsigned)atoi(value);
        else if (strcmp(name, "--chunk-bytes") == 0)
            options.chunk_bytes = (unsigned)atoi(value);
        else if (strcmp(name, "--ramp-ms") == 0)
            options.ramp_ms = (unsigned)atoi(value);
        else if (strcmp(name, "--settle-ms") == 0)
            options.settle_ms = (unsigned)atoi(value);
        else if (strcmp(name, "--timeout-s") == 0)
            options.timeout = atof(value);
        else {
            fprintf(stderr, "unknown argument: %s\n", name);
            exit(2);
        }
    }
    if (options.prints_body) return;
    bool has_end = options.count > 0 || options.duration > 0;
    if (!has_end || options.duration > MAX_SECONDS || options.port <= 0 || options.connections < 1 ||
        options.connections > MAX_CONNECTIONS) {
        fprintf(stderr, "needs --port, --duration (up to %.0f) or --count, and 1 to %u connections\n", MAX_SECONDS,
                MAX_CONNECTIONS);
        exit(2);
    }
}

int main(int argc, char **argv) {
    parse_options(argc, argv);
    make_request();
    target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    if (inet_pton(AF_INET, options.host, &target.sin_addr) != 1 || (ntohl(target.sin_addr.s_addr) >> 24) != 127) {
        fprintf(stderr, "load goes to a loopback address only: %s\n", options.host);
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlives the runner */
    prctl(PR_SET_TIMERSLACK, 1000ul);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc(options.connections, sizeof *conns);
    if (!conns) die("calloc");
    for (unsigned i = 0; i < options.connections; i++) conns[i].fd = -1;
    run();
    print_report();
    return 0;
}
