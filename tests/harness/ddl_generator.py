"""Random DDL on one table, in the dialect of a server. A seed gives the same statements on the same table."""
from __future__ import annotations

import random

INTEGERS = ["TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "INTEGER", "INT4", "INT8", "MIDDLEINT"]
CHARSETS = {"mariadb": ["utf8mb4", "latin1", "utf8mb3", "ascii", "ucs2", "gbk", "utf8"],
            "mysql": ["utf8mb4", "latin1", "utf8mb3", "ascii", "ucs2", "gbk", "utf8"]}
TABLE_CHARSETS = ["utf8mb4", "latin1", "utf8mb3", "ascii", "gbk", "utf8"]
COLLATIONS = {"mariadb": ["utf8mb4_bin", "utf8mb4_unicode_ci", "latin1_german1_ci", "utf8mb4_general_ci", "utf8mb3_bin", "ascii_bin"],
              "mysql": ["utf8mb4_bin", "utf8mb4_unicode_ci", "latin1_german1_ci", "utf8mb4_0900_as_cs", "utf8mb3_bin", "ascii_bin"]}
NAMES = ["a", "b", "c", "d", "e", "id", "name", "status", "Comment", "date", "key col", "größe", "order", "x`y", "period", "value", "first"]


class Generator:
    def __init__(self, rng: random.Random, flavor: str, table: str, parent: str):
        self.r, self.flavor, self.table, self.parent = rng, flavor, table, parent
        self.mysql = flavor == "mysql"
        self.columns: list[str] = []  # as the server has them now
        self.keys: list[str] = []
        self.checks: list[str] = []
        self.foreign: list[str] = []
        self.partitions: list[str] = []

    # -- words --------------------------------------------------------------------------------------------------------
    def chance(self, p: float) -> bool:
        return self.r.random() < p

    def name(self, s: str) -> str:
        plain = s.isascii() and s.isalnum() and s not in ("order", "key", "first")
        return s if plain and self.chance(0.5) else "`" + s.replace("`", "``") + "`"

    def new_name(self) -> str:
        if self.chance(0.15):
            return f"{self.r.choice('gyqqq')}_{self.r.randrange(50)}"
        free = [n for n in NAMES if n.lower() not in (c.lower() for c in self.columns)]
        return self.r.choice(free) if free and self.chance(0.9) else f"n{self.r.randrange(50)}"

    def old_column(self) -> str:
        return self.r.choice(self.columns) if self.columns else "a"

    def case(self, word: str) -> str:
        return self.r.choice([word, word.lower(), word.capitalize()])

    def blank(self) -> str:
        return self.r.choice([" "] * 8 + ["\n\t", " /* x */ ", " /*! */ ", " -- y\n"])

    # -- types and values ---------------------------------------------------------------------------------------------
    def charset(self) -> str:
        words = ""
        if self.chance(0.3):
            words += f" {self.r.choice(['CHARACTER SET', 'CHARSET'])} {self.r.choice(CHARSETS[self.flavor])}"
        elif self.chance(0.2):
            words += f" COLLATE {self.r.choice(COLLATIONS[self.flavor])}"
        elif self.chance(0.05):
            words += self.r.choice([" BINARY", " ASCII", " CHARACTER SET binary", " CHARSET latin1 COLLATE latin1_bin"])
        return words

    def type(self, name: str) -> tuple[str, str]:
        """Type text and kind. The type follows the name where columns of a type cannot be used in all places: spatial ones
        are in no key, and the servers rewrite numbers that a column of a temporal type is compared with."""
        r = self.r
        spatial = name.startswith("g_")
        kind = r.choice(["int"] * 5 + ["decimal", "float", "char", "varchar", "varchar", "text", "binary", "blob", "enum", "set", "date",
                                       "datetime", "timestamp", "time", "bit", "json", "bool"])
        if spatial:
            kind = "spatial"
        elif name.startswith("y_"):
            kind = "year"
        elif name.startswith("q_"):
            kind = "int"
        sign = r.choice(["", "", "", " UNSIGNED", " SIGNED", " ZEROFILL", " UNSIGNED ZEROFILL"])
        if kind == "int":
            return f"{r.choice(INTEGERS)}{r.choice(['', '', '(1)', '(5)', '(20)'])}{sign}", kind
        if kind == "decimal":
            return f"{r.choice(['DECIMAL', 'NUMERIC', 'DEC', 'FIXED'])}{r.choice(['', '(5)', '(10,2)', '(20,6)', '(65,30)'])}{r.choice(['', '', ' UNSIGNED', ' ZEROFILL'])}", kind
        if kind == "float":
            return r.choice(["FLOAT", "DOUBLE", "DOUBLE PRECISION", "REAL", "FLOAT(10)", "FLOAT(30)", "FLOAT(7,3)", "DOUBLE(10,2)", "FLOAT UNSIGNED", "FLOAT4", "FLOAT8"]), kind
        if kind == "char":
            return r.choice(["CHAR", "CHAR(1)", "CHAR(10)", "CHARACTER(4)", "NCHAR(5)", "NATIONAL CHAR(3)"]) + self.charset(), "char"
        if kind == "varchar":
            return r.choice(["VARCHAR(1)", "VARCHAR(10)", "VARCHAR(100)", "VARCHAR(255)", "CHARACTER VARYING(20)", "NVARCHAR(7)", "VARCHAR(3000)"]) + self.charset(), "char"
        if kind == "text":
            return r.choice(["TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TEXT(100)", "TEXT(300)", "TEXT(20000)", "LONG", "LONG VARCHAR"]) + self.charset(), kind
        if kind == "binary":
            return r.choice(["BINARY", "BINARY(4)", "VARBINARY(10)", "VARBINARY(255)", "CHAR(4) BYTE"]), kind
        if kind == "blob":
            return r.choice(["TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "BLOB(100)", "BLOB(70000)", "LONG VARBINARY"]), kind
        if kind == "enum":
            return "ENUM('a','b','Cc','d''e')" + self.charset().replace("ucs2", "latin1"), kind
        if kind == "set":
            return "SET('x','y','z ','w')" + self.charset().replace("ucs2", "latin1"), kind
        if kind in ("datetime", "timestamp", "time"):
            return f"{kind.upper()}{r.choice(['', '', '(0)', '(3)', '(6)'])}", kind
        if kind == "year":
            return r.choice(["YEAR", "YEAR(4)"]), kind
        if kind == "bit":
            return r.choice(["BIT", "BIT(1)", "BIT(8)", "BIT(64)"]), kind
        if kind == "bool":
            return r.choice(["BOOL", "BOOLEAN"]), "int"
        if kind == "spatial":
            return r.choice(["POINT", "GEOMETRY", "POLYGON", "GEOMETRYCOLLECTION"]), kind
        return kind.upper(), kind

    def default(self, kind: str, text: str) -> str:
        r = self.r
        fsp = text[text.index("("):text.index(")") + 1] if kind in ("datetime", "timestamp") and "(" in text else ""
        fsp = "" if fsp == "(0)" else fsp
        values = {
            "int": ["0", "1", "5", "'7'", "TRUE", "-3", "+2", "0x10", "b'11'", "1.6", "100"],
            "decimal": ["0", "1.5", "'2.345'", "-1", "12345.678"],
            "float": ["0", "1.5", "1e3", "'2.5'", "0.001", "3.14159"],
            "char": ["''", "'x'", "'it''s'", "'a\\\\b'", "5", "_utf8mb4'q'", "'A '"],
            "binary": ["''", "'ab'", "0x4142"],
            "enum": ["'a'", "'B'", "'d''e'"],
            "set": ["''", "'x'", "'z,x'", "'W,y'"],
            "date": ["'2020-01-02'", "'20200102'", "'2020-1-2'"],
            "datetime": ["'2020-01-02 03:04:05'", "'2020-1-2'", f"CURRENT_TIMESTAMP{fsp}", f"NOW({fsp[1:-1]})", f"LOCALTIMESTAMP{fsp}"],
            "timestamp": ["'2020-01-02 03:04:05'", f"CURRENT_TIMESTAMP{fsp}", f"NOW({fsp[1:-1]})", f"CURRENT_TIMESTAMP{fsp} ON UPDATE CURRENT_TIMESTAMP{fsp}"],
            "time": ["'01:02:03'", "'1:2'", "'-10:00:00'", "'1 02:03:04'"],
            "year": ["2020", "'1999'", "70"],
            "bit": ["0", "1", "b'1'", "b'0'"],
        }.get(kind, [])
        if not self.mysql and kind in ("text", "blob"):
            values = ["'t'", "''"]
        if kind in ("int", "char", "json", "decimal") and self.chance(0.2):
            values = {"int": ["(1 + 2)", "(length('ab'))"], "char": ["(uuid())", "(concat('a','b'))"], "json": ["(json_array())"],
                      "decimal": ["(1.5 * 2)"]}[kind]
        if not values or self.chance(0.4):
            return self.r.choice(["", " DEFAULT NULL"])
        return f" DEFAULT {r.choice(values)}"

    def column(self, name: str, plain: bool = False) -> str:
        text, kind = self.type(name)
        words = ""
        others = [c for c in self.columns if c != name]
        if not plain and others and self.chance(0.06) and kind in ("int", "char", "text"):
            o = "`" + self.r.choice(others).replace("`", "``") + "`"
            expr = {"int": [f"length({o})", f"({o} is null) + 1", f"if({o} is null, 1, 2)"], "char": [f"upper({o})", f"concat({o},'x')", f"substring({o}, 1, 1)"],
                    "text": [f"lower({o})"]}[kind]
            text = text.split(" CHAR")[0].split(" COLLATE")[0]
            return f"{self.name(name)} {text} {self.r.choice(['GENERATED ALWAYS AS', 'AS'])} ({self.r.choice(expr)}) {self.r.choice(['VIRTUAL', 'STORED', ''])}"
        null = self.r.choice(["", "", " NULL", " NOT NULL", " NOT NULL"])
        default = self.default(kind, text)
        if null == " NOT NULL" and default == " DEFAULT NULL":
            default = ""
        words = null + default if self.chance(0.5) else default + null
        if self.chance(0.1):
            words += f" COMMENT '{self.r.choice(['c', 'it''s', 'ä', 'a;b', ' '])}'".replace("it's", "it''s")
        if kind == "int" and not plain and self.chance(0.04):
            words += " UNIQUE"
        if self.chance(0.03):
            words += " INVISIBLE"
        if name.startswith("q_") and self.chance(0.2):
            words += f" CHECK ({self.name(name)} >= 0)"
        return f"{self.name(name)} {text}{words}"

    # -- keys ---------------------------------------------------------------------------------------------------------
    def parts(self) -> str:
        usable = [c for c in self.columns if not c.startswith("g_")] or self.columns
        columns = self.r.sample(usable, min(len(usable), self.r.choice([1, 1, 1, 2, 3])))
        out = []
        for c in columns:
            out.append(self.name(c) + self.r.choice(["", "", "", "(3)", "(10)"]) + self.r.choice(["", "", "", " ASC", " DESC"]))
        if self.mysql and self.chance(0.05):
            out.append(f"((length(`{columns[0].replace('`', '``')}`) + 1))")
        return ", ".join(out)

    def key(self) -> str:
        r = self.r
        if not self.columns:
            return "INDEX (a)"
        kind = r.choice(["INDEX", "KEY", "KEY", "INDEX", "UNIQUE", "UNIQUE KEY", "UNIQUE INDEX", "FULLTEXT", "PRIMARY KEY", "CONSTRAINT uq UNIQUE"])
        name = "" if kind == "PRIMARY KEY" or self.chance(0.5) else " " + self.name(r.choice(["k1", "k2", "k3", "idx", "Key 4"]))
        words = r.choice(["", "", "", " USING BTREE", " COMMENT 'k'"])
        if kind != "PRIMARY KEY" and self.chance(0.05):
            words += " INVISIBLE" if self.mysql else " IGNORED"
        return f"{kind}{name} ({self.parts()}){words if kind != 'FULLTEXT' else ''}"

    def constraint(self) -> str:
        usable = [c for c in self.columns if not c.startswith(("g_", "y_"))] or ["a"]
        c = "`" + self.r.choice(usable).replace("`", "``") + "`"
        name = self.r.choice(["", "", "CONSTRAINT ck1 ", "CONSTRAINT ck2 "])
        if self.chance(0.3):
            return f"{self.r.choice(['', 'CONSTRAINT fk1 '])}FOREIGN KEY {self.r.choice(['', 'fkx '])}({c}) REFERENCES {self.parent} (id){self.r.choice(['', ' ON DELETE CASCADE', ' ON UPDATE SET NULL'])}"
        expr = self.r.choice([f"{c} is not null", f"length({c}) < 100 or {c} is null", f"not ({c} like 'a%')"])
        numbers = [c for c in self.columns if c.startswith("q_")]
        if numbers:
            c = self.r.choice(numbers)
            expr = self.r.choice([f"{c} <> 5 and {c} > -1", f"{c} in (1,2,3)", f"{c} between 1 and 10 or {c} = 20", f"({c} % 7) != 3"])
        return f"{name}CHECK ({expr})"

    def place(self) -> str:
        if self.chance(0.7) or not self.columns:
            return ""
        return self.r.choice([" FIRST", f" AFTER {self.name(self.old_column())}"])

    # -- statements ---------------------------------------------------------------------------------------------------
    def options(self) -> str:
        r = self.r
        out = []
        for o in (f"ENGINE={r.choice(['InnoDB', 'innodb'])}", f"COMMENT='{r.choice(['t', 'u', ''])}'", f"ROW_FORMAT={r.choice(['DYNAMIC', 'COMPACT', 'DEFAULT'])}",
                  f"STATS_PERSISTENT={r.choice(['0', '1', 'DEFAULT'])}", f"DEFAULT CHARSET={r.choice(TABLE_CHARSETS)}",
                  f"COLLATE {r.choice(COLLATIONS[self.flavor])}", "MAX_ROWS 1000", "AVG_ROW_LENGTH = 10", "CHECKSUM=1"):
            if self.chance(0.12):
                out.append(o)
        return " ".join(out)

    def partitioning(self) -> str:
        c = self.name(self.old_column())
        return self.r.choice([
            f"PARTITION BY HASH ({c}) PARTITIONS 3", f"PARTITION BY KEY ({c}) PARTITIONS 2", "PARTITION BY KEY () PARTITIONS 2",
            f"PARTITION BY RANGE ({c}) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20) COMMENT 'x', PARTITION p2 VALUES LESS THAN (30))",
            f"PARTITION BY RANGE ({c}) (PARTITION p0 VALUES LESS THAN (10), PARTITION px VALUES LESS THAN MAXVALUE)",
            f"PARTITION BY LIST ({c}) (PARTITION p0 VALUES IN (1,2), PARTITION p1 VALUES IN (3))",
            f"PARTITION BY RANGE COLUMNS ({c}) (PARTITION p0 VALUES LESS THAN ('m'), PARTITION p1 VALUES LESS THAN (MAXVALUE))",
            f"PARTITION BY RANGE ({c}) SUBPARTITION BY HASH ({c}) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
        ])

    def create(self) -> str:
        self.columns = []
        elements = []
        for _ in range(self.r.randrange(2, 7)):
            n = self.new_name()
            elements.append(self.column(n))
            self.columns.append(n)
        for _ in range(self.r.randrange(0, 3)):
            elements.append(self.key())
        if self.chance(0.3):
            elements.append(self.constraint())
        if self.chance(0.3):
            elements.insert(0, self.r.choice(["`auto` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY", "`auto` SERIAL", "auto INT AUTO_INCREMENT, KEY (auto)"]))
            self.columns.insert(0, "auto")
        tail = self.options()
        if self.chance(0.12):
            tail += " " + self.partitioning()
        return f"CREATE TABLE {self.table} ({', '.join(elements)}) {tail}"

    def clause(self) -> str:
        r, n = self.r, self.name
        col = self.old_column()
        word = r.choice(["", "COLUMN "])
        roll = r.random()
        if roll < 0.22:
            new = self.new_name()
            exists = "IF NOT EXISTS " if not self.mysql and self.chance(0.15) else ""
            return f"ADD {word}{exists}{self.column(r.choice(self.columns) if exists and self.chance(0.5) else new)}{self.place()}"
        if roll < 0.25:
            return f"ADD {word}({self.column(self.new_name())}, {self.column('m' + str(r.randrange(9)))})"
        if roll < 0.35:
            exists = "IF EXISTS " if not self.mysql and self.chance(0.2) else ""
            return f"DROP {word}{exists}{n(col)}"
        if roll < 0.47:
            return f"MODIFY {word}{self.column(col)}{self.place()}"
        if roll < 0.55:
            return f"CHANGE {word}{n(col)} {self.column(self.r.choice([col, self.new_name()]))}{self.place()}"
        if roll < 0.60:
            return f"RENAME COLUMN {n(col)} TO {n(self.new_name())}"
        if roll < 0.65:
            return f"ALTER {word}{n(col)} {r.choice(['DROP DEFAULT', 'SET DEFAULT NULL', 'SET DEFAULT 5', 'SET DEFAULT 0', 'SET DEFAULT (1+1)' if col.startswith('q_') else 'DROP DEFAULT'])}"
        if roll < 0.76:
            return f"ADD {self.key()}"
        if roll < 0.82 and self.keys:
            k = r.choice(self.keys)
            return "DROP PRIMARY KEY" if k == "PRIMARY" else f"DROP {r.choice(['KEY', 'INDEX'])} {n(k)}"
        if roll < 0.84 and self.keys:
            return f"RENAME {r.choice(['KEY', 'INDEX'])} {n(r.choice(self.keys))} TO {n(r.choice(['k1', 'k5', 'renamed']))}"
        if roll < 0.86 and self.keys:
            return f"ALTER INDEX {n(r.choice(self.keys))} {r.choice(['VISIBLE', 'INVISIBLE'] if self.mysql else ['IGNORED', 'NOT IGNORED'])}"
        if roll < 0.89:
            return f"ADD {self.constraint()}"
        if roll < 0.91 and self.checks + self.foreign:
            return f"DROP CONSTRAINT {n(r.choice(self.checks + self.foreign))}"
        if roll < 0.93:
            return f"CONVERT TO CHARACTER SET {r.choice(TABLE_CHARSETS)}"
        if roll < 0.95:
            return self.options() or "FORCE"
        if roll < 0.96:
            return f"RENAME TO {self.table}"
        if roll < 0.97 and self.mysql:
            return f"ALTER COLUMN {n(col)} SET {r.choice(['VISIBLE', 'INVISIBLE'])}"
        return r.choice(["ORDER BY 1", "FORCE", "ENGINE=InnoDB", "ENABLE KEYS", "ALGORITHM=COPY", "LOCK=SHARED", "COMMENT 'again'"])

    def partition_statement(self) -> str:
        if not self.partitions:
            return f"ALTER TABLE {self.table} {self.partitioning()}"
        p = self.r.choice(self.partitions)
        return f"ALTER TABLE {self.table} " + self.r.choice([
            f"DROP PARTITION {p}", f"TRUNCATE PARTITION {p}", "TRUNCATE PARTITION ALL", "REMOVE PARTITIONING", "COALESCE PARTITION 1", "ADD PARTITION PARTITIONS 2",
            f"ADD PARTITION (PARTITION pn{self.r.randrange(9)} VALUES LESS THAN ({self.r.randrange(40, 90)}))", f"ADD PARTITION (PARTITION pl VALUES IN ({self.r.randrange(50)}))",
            f"REORGANIZE PARTITION {p} INTO (PARTITION {p} VALUES LESS THAN (5), PARTITION r{self.r.randrange(9)} VALUES LESS THAN (10))", f"REBUILD PARTITION {p}",
            f"ANALYZE PARTITION {p}", self.partitioning()])

    def statement(self) -> str:
        r = self.r
        roll = r.random()
        if roll < 0.03:
            return f"TRUNCATE TABLE {self.table}"
        if roll < 0.09:
            return f"CREATE {r.choice(['', 'UNIQUE ', 'FULLTEXT '])}INDEX {r.choice(['k1', 'k2', 'ix'])} ON {self.table} ({self.parts()})"
        if roll < 0.12 and self.keys:
            return f"DROP INDEX {self.name(r.choice(self.keys)) if True else ''} ON {self.table}"
        if roll < 0.18:
            return self.partition_statement()
        if roll < 0.20:
            return f"RENAME TABLE {self.table} TO {r.choice(['u', '`to`'])}, u TO {self.table}".replace("`to`, u", "`to`, `to`")
        clauses = [self.clause() for _ in range(r.choice([1, 1, 1, 2, 2, 3]))]
        if any(c.startswith("CONVERT") for c in clauses):  # MySQL takes the old column's length for a BLOB then
            clauses = [c for c in clauses if not c.startswith(("MODIFY", "CHANGE"))]
        if self.chance(0.08):
            clauses[0] = self.conditional(clauses[0])
        return f"{self.case('ALTER')} TABLE{self.blank()}{self.table} " + ", ".join(clauses)

    def conditional(self, clause: str) -> str:
        """In comments that this server reads, or behind one that it does not."""
        if "/*" in clause or "-- " in clause:
            return clause
        own = "/*!40101 {} */" if self.mysql else self.r.choice(["/*!40101 {} */", "/*M! {} */", "/*M!100300 {} */"])
        return self.r.choice([own.format(clause), "/*!99999 FROB, */ " + clause] + (["/*M! FROB */ " + clause] if self.mysql else []))

    def ansi(self, sql: str) -> str:
        """The same for a session with ANSI_QUOTES."""
        return sql if '"' in sql or "``" in sql else sql.replace("`", '"')
