#include "config/reference.h"
#include "config/keys.h"
#include "base/poison.h"

static const char intro[] =
    "# Configuration reference\n"
    "\n"
    "This page is generated from the table that configuration files are checked against "
    "(`src/config/keys.def`).\n"
    "\n"
    "A task is one task file in the form of TiDB Data Migration (DM) and one source file for each upstream "
    "server. Both "
    "are YAML; anchors, aliases and merge keys work. A key that is not in this list is an error, with the "
    "nearest known "
    "name; so are a key written twice, a value of the wrong form, a name that refers to nothing, and a named "
    "entry that "
    "nobody uses. All problems of all files are reported at once, each with file, line and column. Nothing "
    "is ignored "
    "silently.\n"
    "\n"
    "Sources come from `sources:` in the task file and from `--source FILE`. Where there are neither, they "
    "come from the "
    "`*.yaml` and `*.yml` files of a folder `sources/` beside the task file; a file there that this task "
    "does not refer "
    "to may serve another task. Relative paths start at the file that names them.\n"
    "\n"
    "Verdicts:\n"
    "\n"
    "- **used**: it does what it says.\n"
    "- **accepted**: read and checked, and without effect; the text says why.\n"
    "- **not yet**: anything but the default is refused as \"not supported yet\".\n"
    "- **refused**: anything but the default is refused; the text says what to do instead.\n"
    "\n"
    "Durations are numbers with a unit (`500ms`, `5s`, `1m30s`). Sizes are bytes or numbers with a unit: "
    "`K`, `KiB`, "
    "`M`, `MiB`, `G`, `GiB` count in 1024, `KB`, `MB`, `GB` in 1000.\n";

static void cell(StrBuf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') sb_ch(out, '\\');
        sb_ch(out, *text);
    }
}

static void choices(StrBuf *out, Str arg)
{
    for (const char *sep = ""; arg.len; sep = ", ") {
        Str choice = str_split(&arg, '|');
        sb_printf(out, "%s`" STR_FMT "`", sep, STR_ARG(choice));
    }
}

static void range(StrBuf *out, Str arg)
{
    size_t dots = str_find(arg, STR(".."));
    if (dots == SIZE_MAX) return;
    Str least = {arg.ptr, dots}, largest = {arg.ptr + dots + 2, arg.len - dots - 2};
    if (largest.len)
        sb_printf(out, ", " STR_FMT " to " STR_FMT, STR_ARG(least), STR_ARG(largest));
    else if (!str_eq(least, STR("0")))
        sb_printf(out, ", at least " STR_FMT, STR_ARG(least));
}

static void type_cell(StrBuf *out, const KeyRow *row)
{
    static const char *const names[] = {
        [KEY_STR] = "text",           [KEY_NAME] = "name",
        [KEY_BOOL] = "true or false", [KEY_INT] = "whole number",
        [KEY_DURATION] = "duration",  [KEY_SECONDS] = "seconds or duration",
        [KEY_BYTES] = "size",         [KEY_ENUM] = "",
        [KEY_STRS] = "list of texts", [KEY_VARS] = "variables",
        [KEY_MAP] = "section: ",      [KEY_NAMED] = "by name: ",
        [KEY_LIST] = "list of: ",     [KEY_BLOB] = "text or list of bytes",
        [KEY_ANY] = "anything",
    };
    sb_c(out, names[row->type]);
    if (row->type == KEY_ENUM) choices(out, str_of(row->arg));
    if (row->sub != SECTION_NONE) sb_c(out, section_title(row->sub));
    range(out, str_of(row->arg));
}

static void row_write(StrBuf *out, const KeyRow *row)
{
    static const char *const verdicts[] = {"used", "accepted", "not yet", "refused"};
    sb_printf(out, "| `%s` | ", row->key);
    type_cell(out, row);
    sb_c(out, " | ");
    if (row->def[0]) sb_printf(out, "`%s`", row->def);
    sb_printf(out, " | %s | ", verdicts[row->verdict]);
    if (row->verdict == KEY_REFUSED) sb_c(out, "Instead: ");
    cell(out, row->help);
    sb_c(out, " |\n");
}

void config_write_reference(StrBuf *out)
{
    sb_c(out, intro);
    for (Section s = SECTION_NONE + 1; s < SECTION_COUNT; s++) {
        const KeyRow *row;
        bool open = false;
        for (size_t i = 0; (row = key_row(i)); i++) {
            if (row->section != s) continue;
            if (!open) {
                sb_printf(out, "\n## %s\n\nWhere: %s.\n\n", section_title(s), section_where(s));
                sb_c(out, "| Key | Form | Default | Verdict | |\n|---|---|---|---|---|\n");
                open = true;
            }
            row_write(out, row);
        }
    }
}
