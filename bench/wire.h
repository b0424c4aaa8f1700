/* What the mock upstream and the load generator share: a clock, a growable buffer, header look-up, and a decoder of
 * chunked transfer encoding. Everything is inline, so that either program compiles from its one file. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static inline void die(const char *what) {
    perror(what);
    exit(2);
}

struct buf {
    char *data;
    size_t len, cap;
};

static inline void buf_add(struct buf *b, const void *data, size_t n) {
    if (b->len + n > b->cap) {
        b->cap = (b->len + n) * 2 < 1024 ? 1024 : (b->len + n) * 2;
        b->data = realloc(b->data, b->cap);
        if (!b->data) die("realloc");
    }
    memcpy(b->data + b->len, data, n);
    b->len += n;
}

static inline void buf_puts(struct buf *b, const char *text) { buf_add(b, text, strlen(text)); }

static inline void buf_drop_front(struct buf *b, size_t n) {
    if (n < b->len) memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

static inline void buf_free(struct buf *b) {
    free(b->data);
    memset(b, 0, sizeof *b);
}

/* The value of a header inside a head that ends with an empty line, or NULL. `name` is lower case, with its colon. */
static inline const char *header_value(const char *head, size_t len, const char *name) {
    size_t n = strlen(name);
    const char *end = head + len, *line = memchr(head, '\n', len);
    while (line && line + 1 + n < end) {
        line++;
        if (strncasecmp(line, name, n) == 0) {
            line += n;
            while (*line == ' ') line++;
            return line;
        }
        line = memchr(line, '\n', (size_t)(end - line));
    }
    return NULL;
}

enum chunked_state { CH_SIZE, CH_EXTENSION, CH_DATA, CH_DATA_END, CH_TRAILER, CH_DONE, CH_BAD };

struct chunked {
    enum chunked_state state;
    uint64_t left;
    unsigned digits, line_len;
};

/* Decode, append the payload to `out`, count the chunks; returns how much of `p` was used (all, unless the body ended). */
static inline size_t chunked_feed(struct chunked *c, const char *p, size_t n, struct buf *out, uint64_t *chunks) {
    size_t i = 0;
    while (i < n && c->state < CH_DONE) {
        char ch = p[i];
        switch (c->state) {
        case CH_SIZE: {
            int digit = ch >= '0' && ch <= '9'   ? ch - '0'
                        : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
                        : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
                                                 : -1;
            i++;
            if (digit >= 0) {
                c->left = c->left * 16 + (uint64_t)digit;
                if (++c->digits > 8) c->state = CH_BAD;
                break;
            }
            if (ch == '\n' && c->digits > 0) {
                c->state = c->left ? CH_DATA : CH_TRAILER;
                c->line_len = 0;
            } else if ((ch == '\r' || ch == ';' || ch == ' ') && c->digits > 0)
                c->state = CH_EXTENSION;
            else
                c->state = CH_BAD;
            break;
        }
        case CH_EXTENSION:
            i++;
            if (ch == '\n') {
                c->state = c->left ? CH_DATA : CH_TRAILER;
                c->line_len = 0;
            }
            break;
        case CH_DATA: {
            size_t take = n - i < c->left ? n - i : (size_t)c->left;
            buf_add(out, p + i, take);
            i += take;
            c->left -= take;
            if (c->left == 0) {
                c->state = CH_DATA_END;
                (*chunks)++;
            }
            break;
        }
        case CH_DATA_END:
            i++;
            if (ch == '\n') {
                c->state = CH_SIZE;
                c->digits = 0;
            } else if (ch != '\r')
                c->state = CH_BAD;
            break;
        case CH_TRAILER:
            i++;
            if (ch == '\n') {
                if (c->line_len == 0) c->state = CH_DONE;
                c->line_len = 0;
            } else if (ch != '\r')
                c->line_len++;
            break;
        default:
            break;
        }
    }
    return i;
}

#endif
