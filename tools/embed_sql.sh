#!/bin/sh
# Prints a C file that holds the given SQL files (state/NNNN-name.sql) as the table of store/migrations.h.
set -eu
echo '/* Made from state/ by tools/embed_sql.sh. */'
echo '#include "store/migrations.h"'
echo 'const Migration migrations[] = {'
count=0
for file in "$@"; do
    count=$((count + 1))
    name=$(basename "$file" .sql)
    case $name in
    "$(printf '%04d' "$count")"-*) ;;
    *) echo "embed_sql.sh: $file: migrations are numbered from 0001 without gaps" >&2; exit 1 ;;
    esac
    printf '    {%d, "%s",\n' "$count" "$name"
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/     "/' -e 's/$/\\n"/' "$file"
    echo '    },'
done
echo '};'
printf 'const size_t migration_count = %d;\n' "$count"
