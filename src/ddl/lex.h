/* Tokens of MySQL's and MariaDB's SQL, one at a time. Comments are passed over; the content of conditional
 * ones (slash-star-! and slash-star-M!, with or without a version) counts as text. Pure; views into the
 * statement. */
#ifndef SM_DDL_LEX_H
#define SM_DDL_LEX_H

#include "base/arena.h"
#include "base/str.h"

typedef enum LexKind {
    LEX_END,
    LEX_WORD,   /* keyword, identifier or number without quotes */
    LEX_QUOTED, /* `name`, or "name" under ANSI_QUOTES; text is without the outer quotes, inner ones still
                   doubled */
    LEX_STRING, /* 'text', and "text" without ANSI_QUOTES; text is without the outer quotes */
    LEX_SYMBOL, /* one character */
} LexKind;

typedef struct LexToken {
    LexKind kind;
    char quote; /* LEX_QUOTED: ` or " */
    Str text;
} LexToken;

typedef struct LexMode {
    bool ansi_quotes;          /* "x" is a name */
    bool no_backslash_escapes; /* a backslash in a string is itself */
    bool flat;                 /* quotes and comment marks are white space: all words come out */
    bool mysql_comments;       /* slash-star-M! is a plain comment (MySQL) */
} LexMode;

/* A copy is a look-ahead. */
typedef struct Lex {
    const char *at, *end;
    LexMode mode;
    unsigned conditional; /* open conditional comments */
    bool broken;          /* a quote or comment never ended */
    LexToken tok;         /* the current one */
} Lex;

/* Stands on the first token. */
void lex_init(Lex *l, Str sql, LexMode mode);
void lex_next(Lex *l);
/* Is it this keyword (unquoted, any case)? */
bool lex_is_word(const LexToken *t, const char *word);
/* Could it be an identifier? */
bool lex_is_name(const LexToken *t);
/* The identifier without doubled quotes; in arena where it had some, else a view. */
Str lex_name(const LexToken *t, Arena *arena);

#endif
