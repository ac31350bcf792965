# expect: ok
# stdout: [['a', 'b'], ['1', '2']]
import csv, io; print(list(csv.reader(io.StringIO("a,b\n1,2"))))
