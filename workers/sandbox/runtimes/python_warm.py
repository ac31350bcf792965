# An interpreter that was started ahead: it waits for its one job and becomes it.  While nobody needs it, it imports what most programs
# do, one module after the other, and stops as soon as its job is there: under load nothing is imported that nobody asked for.
import atexit, builtins, gc, importlib, os, select, signal, sys

AHEAD = ("collections", "functools", "itertools", "math", "re", "random", "string", "heapq", "bisect", "json", "typing", "datetime", "io", "socket")
KEPT = set(sys.modules)


def import_ahead():
    job = select.poll()
    job.register(200, select.POLLIN)
    for name in AHEAD:
        if job.poll(0):
            return
        importlib.import_module(name)


def become(path):
    name = os.path.abspath(path)
    sys.argv = [path]
    sys.path[0] = os.path.dirname(name)
    main = type(sys)("__main__")
    main.__dict__.update(__builtins__=builtins, __loader__=__loader__, __file__=name)
    sys.modules["__main__"] = main
    code = run(name, main.__dict__)
    if leave_threads() and "ctypes" not in sys.modules:  # what C has not yet written, only its own exit() writes
        end(code, main.__dict__)
    sys.exit(code)


def run(name, scope):
    """The exit code, as sys.exit() takes it."""
    try:
        with open(name, "rb") as f:
            text = f.read()
        exec(compile(text, name, "exec"), scope)
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
    return len(sys._current_frames()) == 1


def end(code, scope):
    """What Python's own end does, but for taking the interpreter apart, which costs more than most programs: exit functions run, what the
    program made is destroyed, streams are flushed."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    atexit._run_exitfuncs()
    streams = {id(s): s for s in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)}
    box = os.path.dirname(scope.get("__file__") or "/work/main.py") + "/"
    for name, module in list(sys.modules.items()):
        if name not in KEPT and str(getattr(module, "__file__", None)).startswith(box) and module.__dict__ is not scope:
            forget(module.__dict__)
    forget(scope)
    gc.collect()
    for stream in streams.values():
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception:
            code = code or 120
    os._exit((code or 0) & 0xFF)


def forget(names):
    for private in (True, False):
        for name in list(names):
            if name != "__builtins__" and name.startswith("_") == private:
                names[name] = None


import_ahead()
gc.freeze()
if os.read(200, 1):
    os.close(200)
    become(sys.argv[1])
