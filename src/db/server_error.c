/* What a server's error number means to us: one table, read by number and, for 1105 and 1047, by text. */
#include "db/conn.h"
#include "base/poison.h"

typedef enum Hide { HIDE_NONE, HIDE_VALUE, HIDE_NEAR } Hide;

typedef struct ErrorRow {
    unsigned number;
    const char *text;
    ErrCode code;
    const char *family;
    Hide hide;
    const char *note;
} ErrorRow;

static const ErrorRow rows[] = {
#define X(number, text, code, family, hide, note) {number, text, ERR_##code, #family, HIDE_##hide, note},
#include "db/server_errors.def"
#undef X
};

static const ErrorRow *row_of(unsigned number, Str text)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const ErrorRow *r = &rows[i];
        if (r->number != number) continue;
        if (!r->text[0] || str_find(text, str_of(r->text)) != SIZE_MAX) return r;
    }
    return NULL;
}

ErrCode conn_classify(unsigned server_errno, Str text)
{
    const ErrorRow *r = row_of(server_errno, text);
    return r ? r->code : ERR_DB_SERVER;
}

bool conn_error_row(size_t i, unsigned *number, const char **text, ErrCode *code, const char **family,
                    const char **note)
{
    if (i >= ARRAY_LEN(rows)) return false;
    *number = rows[i].number;
    *text = rows[i].text;
    *code = rows[i].code;
    *family = rows[i].family;
    *note = rows[i].note;
    return true;
}

/* Last place of needle in s, or SIZE_MAX. */
static size_t find_last(Str s, Str needle)
{
    for (size_t i = s.len; i-- > 0;)
        if (str_starts(str_make(s.ptr + i, s.len - i), needle)) return i;
    return SIZE_MAX;
}

/* A value may itself hold quotes: it ends at the last "' for ", else at the last quote. */
static void hide_value(Str text, StrBuf *out)
{
    const char *open = text.len ? memchr(text.ptr, '\'', text.len) : NULL;
    if (!open) {
        sb_str(out, text);
        return;
    }
    size_t from = (size_t)(open - text.ptr) + 1;
    size_t to = find_last(text, STR("' for "));
    if (to == SIZE_MAX) to = find_last(text, STR("'"));
    if (to < from) to = text.len;
    sb_add(out, text.ptr, from);
    sb_c(out, "...");
    sb_add(out, text.ptr + to, text.len - to);
}

void conn_redact(unsigned server_errno, Str text, StrBuf *out)
{
    const ErrorRow *r = row_of(server_errno, text);
    size_t near = str_find(text, STR(" near '"));
    if (r && r->hide == HIDE_VALUE)
        hide_value(text, out);
    else if (near != SIZE_MAX && (!r || r->hide == HIDE_NEAR)) {
        sb_add(out, text.ptr, near);
        sb_c(out, " near '...'");
    } else
        sb_str(out, text);
}
