#include "db/foreign_keys.h"
#include "base/reader.h"
#include "base/poison.h"

static bool is_word(uint8_t ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '_' ||
           ch == '$' || ch >= 0x80;
}

/* Behind the end of a quoted text whose opening quote was read. A doubled quote ends one text and begins the
 * next, which comes to the same. A backslash escapes in '…' alone: names have none. */
static bool skip_quoted(Reader *r, uint8_t quote)
{
    while (reader_left(r)) {
        uint8_t ch = reader_u8(r);
        if (ch == quote) return true;
        if (ch == '\\' && quote == '\'' && reader_left(r)) reader_u8(r);
    }
    return false;
}

/* The next word outside quotes; empty at the end. *cut: a quote did not end. Other characters, names in
 * quotes among them, are passed over. */
static Str next_word(Reader *r, bool *cut)
{
    while (reader_left(r)) {
        const char *start = (const char *)r->at;
        uint8_t ch = reader_u8(r);
        if (ch == '\'' || ch == '`' || ch == '"') {
            if (!skip_quoted(r, ch)) *cut = true;
            continue;
        }
        if (!is_word(ch)) continue;
        while (reader_left(r) && is_word(*r->at))
            reader_u8(r);
        return str_make(start, (size_t)((const char *)r->at - start));
    }
    return (Str){0};
}

/* FOREIGN KEY … REFERENCES … ON event action: of columns, only ON UPDATE CURRENT_TIMESTAMP looks alike, and
 * none of its words is an action. */
bool foreign_keys_act(Str create_table)
{
    Reader r = reader_of(create_table);
    bool found = false, cut = false, acts = false;
    Str before[2] = {{0}}; /* the two words before */
    for (Str w; (w = next_word(&r, &cut)).len;) {
        bool event = str_ieq(before[0], STR("ON")) &&
                     (str_ieq(before[1], STR("DELETE")) || str_ieq(before[1], STR("UPDATE")));
        if (str_ieq(before[1], STR("FOREIGN")) && str_ieq(w, STR("KEY"))) found = true;
        if (event && (str_ieq(w, STR("CASCADE")) || str_ieq(w, STR("SET")))) acts = true;
        before[0] = before[1];
        before[1] = w;
    }
    return acts || cut || !found;
}
