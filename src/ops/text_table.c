#include "ops/text_table.h"
#include <stdlib.h>
#include "base/poison.h"

static const char *const tone_codes[] = {"", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m"};

void table_cell(TextTable *t, Str text, bool right, CellTone tone)
{
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 32;
        t->cells = mem_realloc(t->cells, t->cap * sizeof *t->cells);
    }
    t->cells[t->count++] = (TableCell){arena_str(&t->arena, text), right, tone};
}

void table_text(TextTable *t, Str text)
{
    table_cell(t, text, false, TONE_PLAIN);
}
void table_tone(TextTable *t, Str text, CellTone tone)
{
    table_cell(t, text, false, tone);
}
void table_right(TextTable *t, Str text)
{
    table_cell(t, text, true, TONE_PLAIN);
}

void table_count(TextTable *t, uint64_t n)
{
    CLEANUP(sb_done) StrBuf b = {0};
    text_count(&b, n);
    table_cell(t, sb_view(&b), true, TONE_PLAIN);
}

void table_print(const TextTable *t, bool color, StrBuf *out)
{
    size_t *widths = mem_zalloc(t->columns * sizeof *widths);
    for (size_t i = 0; i < t->count; i++) {
        size_t w = text_width(t->cells[i].text);
        if (w > widths[i % t->columns]) widths[i % t->columns] = w;
    }
    for (size_t i = 0; i < t->count; i++) {
        const TableCell *c = &t->cells[i];
        bool last = i % t->columns == t->columns - 1;
        int pad = (int)(widths[i % t->columns] - text_width(c->text));
        if (c->right) sb_printf(out, "%*s", pad, "");
        text_tone(out, c->text, c->tone, color);
        if (!c->right && !last) sb_printf(out, "%*s", pad, "");
        sb_c(out, last ? "\n" : "  ");
    }
    free(widths);
}

void table_done(TextTable *t)
{
    free(t->cells);
    arena_done(&t->arena);
    *t = (TextTable){0};
}

void text_count(StrBuf *out, uint64_t n)
{
    CLEANUP(sb_done) StrBuf digits = {0};
    sb_u64(&digits, n);
    for (size_t i = 0; i < digits.len; i++) {
        if (i && (digits.len - i) % 3 == 0) sb_ch(out, ',');
        sb_ch(out, digits.ptr[i]);
    }
}

void text_tone(StrBuf *out, Str text, CellTone tone, bool color)
{
    bool on = color && tone != TONE_PLAIN;
    if (on) sb_c(out, tone_codes[tone]);
    sb_str(out, text);
    if (on) sb_c(out, "\x1b[0m");
}

/* Bytes of the ANSI sequence (ESC [ … letter) that starts at text, 0 when none does. */
static size_t ansi_len(Str text)
{
    if (text.len < 2 || text.ptr[0] != '\x1b' || text.ptr[1] != '[') return 0;
    size_t i = 2;
    while (i < text.len && (text.ptr[i] < '@' || text.ptr[i] > '~'))
        i++;
    return i < text.len ? i + 1 : text.len;
}

Str text_cut(Str text, size_t width)
{
    size_t i = 0, shown = 0;
    while (i < text.len) {
        size_t ansi = ansi_len((Str){text.ptr + i, text.len - i});
        if (ansi) {
            i += ansi;
            continue;
        }
        bool starts = ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
        if (starts && shown == width) break;
        shown += starts;
        i++;
    }
    return (Str){text.ptr, i};
}

size_t text_width(Str text)
{
    size_t shown = 0;
    for (size_t i = 0; i < text.len;) {
        size_t ansi = ansi_len((Str){text.ptr + i, text.len - i});
        if (ansi) {
            i += ansi;
            continue;
        }
        shown += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
        i++;
    }
    return shown;
}
