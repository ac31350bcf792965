# A zygote: an interpreter that imports what most programs do and forks once for each job.  Its os.fork() comes back in the children only, each in a
# sandbox of its own; Python itself seeds `random` anew there.  A child waits for its one job's name, and becomes it.
# Memory is shared with the zygote until it is written to, as each object is that is only looked at; a page that must be copied for that costs
# more than a hundred lines of Python.  So what every job does touches as little as can be, and everything was done once before the fork.
import _thread, atexit, builtins, gc, importlib, os, select, signal, sys

for name in ("collections", "functools", "itertools", "math", "re", "random", "string", "heapq", "bisect", "json", "typing", "datetime", "io", "socket"):
    importlib.import_module(name)
GATE = 200
KEPT = set(sys.modules)
LAST = next(reversed(sys.modules))
LAST_MODULE = sys.modules[LAST]


def rehearse(name):
    """Go the way of a small program once, from reading it to leaving.  Nothing stays of it."""
    scope = new_main(name).__dict__
    exec(compile(b"class A: pass\ndef f(n):\n    return [x for x in range(n)]\nprint(end='')\nf(3)\n", "main.py", "exec"), scope)
    run("/dev/null", scope)
    leave_threads()
    if atexit._ncallbacks() == 0:
        leave(None, scope)


def new_main(name):
    main = type(sys)("__main__")
    scope = main.__dict__
    scope["__builtins__"] = builtins
    scope["__loader__"] = __loader__
    scope["__file__"] = name
    return main


def absolute(path):
    return path if path[0] == "/" else os.getcwd() + "/" + path


def become(path):
    name = absolute(path)
    sys.argv = [path]
    sys.path[0] = name.rpartition("/")[0]
    main = sys.modules["__main__"] = new_main(name)
    code = run(name, main.__dict__)
    if leave_threads() and "ctypes" not in sys.modules:  # what C has not yet written, only its own exit() writes
        os._exit(leave(code, main.__dict__) & 0xFF)
    sys.exit(code)


def read(name):
    text, fd = b"", os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    while piece := os.read(fd, 16384):
        text += piece
    os.close(fd)
    return text


def run(name, scope):
    """The exit code, as sys.exit() takes it."""
    try:
        exec(compile(read(name), name, "exec"), scope)
    except SystemExit as e:
        return e.code
    except BaseException as e:  # told as if this frame had never been
        trace = e.__traceback__
        while trace and trace.tb_frame.f_globals is globals():
            trace = trace.tb_next
        sys.excepthook(type(e), e.with_traceback(trace), trace)
        if isinstance(e, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        return 1


def leave_threads():
    """Wait for those that the program is to wait for.  False: others go on, and only Python's own end can stop them."""
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
    except BaseException:
        return False
    return _thread._count() == 0


def leave(code, scope):
    """What Python's own end does, but for taking the interpreter apart, which costs more than most programs: exit functions run, what the
    program made is destroyed, streams are flushed.  The exit code as a number."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    atexit._run_exitfuncs()
    new = new_modules()
    if new:
        box = os.path.dirname(scope.get("__file__") or "/work/main.py") + "/"
        for module in new:
            if str(getattr(module, "__file__", None)).startswith(box) and module.__dict__ is not scope:
                forget(module.__dict__)
    forget(scope)
    gc.collect()
    out, error = sys.stdout, sys.stderr
    code = flush(out, flush(error, code or 0))
    if sys.__stdout__ is not out:
        code = flush(sys.__stdout__, code)
    if sys.__stderr__ is not error:
        code = flush(sys.__stderr__, code)
    return code


def new_modules():
    """Those that the program brought: behind the last one of ours, if that has stayed where it was."""
    new = []
    for name in reversed(sys.modules):
        if name == LAST and sys.modules[name] is LAST_MODULE:
            break
        if name not in KEPT:
            new.append(sys.modules[name])
    return new


def flush(stream, code):
    try:
        if stream is not None and not stream.closed:
            stream.flush()
    except Exception:
        return code or 120
    return code


def forget(names):
    for private in (True, False):
        for name in list(names):
            if name != "__builtins__" and name.startswith("_") == private:
                names[name] = None


gate = select.poll()
gate.register(GATE, select.POLLIN)
rehearse(absolute("main.py"))
gc.collect()
gc.freeze()
os.fork()
if not gate.poll(0):
    rehearse(absolute("main.py"))
name = os.read(GATE, 4096)
if name:
    os.close(GATE)
    become(name.decode())
