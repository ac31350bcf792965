# expect: ok
# stdout: ['a']
import zipfile, io
b = io.BytesIO(); z = zipfile.ZipFile(b, "w"); z.writestr("a", "x"); z.close(); print(zipfile.ZipFile(b).namelist())
