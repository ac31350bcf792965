# expect: ok
# stdout: 3
import sqlite3
c = sqlite3.connect("db.sqlite")
c.execute("create table t(n)"); c.executemany("insert into t values (?)", [(1,), (2,)]); c.commit()
print(c.execute("select sum(n) from t").fetchone()[0])
