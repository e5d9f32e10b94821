/* Aligned columns for people: cells are gathered, then printed with the width each column needs. */
#ifndef SM_OPS_TEXT_TABLE_H
#define SM_OPS_TEXT_TABLE_H

#include "base/arena.h"

typedef enum CellTone { TONE_PLAIN, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_DIM } CellTone;

typedef struct TableCell {
    Str text; /* in the table's arena */
    bool right;
    CellTone tone;
} TableCell;

/* {.columns = n} is an empty table. One thread. */
typedef struct TextTable {
    Arena arena;
    size_t columns, count, cap;
    TableCell *cells; /* row by row */
} TextTable;

void table_cell(TextTable *t, Str text, bool right, CellTone tone);
/* Short forms. */
void table_text(TextTable *t, Str text);
void table_tone(TextTable *t, Str text, CellTone tone);
/* A number with separators, right-aligned. */
void table_count(TextTable *t, uint64_t n);
void table_right(TextTable *t, Str text);
/* Prints; color: tones as ANSI sequences. */
void table_print(const TextTable *t, bool color, StrBuf *out);
void table_done(TextTable *t);

/* 1234567 → 1,234,567 */
void text_count(StrBuf *out, uint64_t n);
/* text in a tone. */
void text_tone(StrBuf *out, Str text, CellTone tone, bool color);
/* Characters a terminal shows: UTF-8 counted once, ANSI sequences not at all. */
size_t text_width(Str text);
/* Longest head of text that shows at most width characters; ANSI sequences whole. */
Str text_cut(Str text, size_t width);

#endif
