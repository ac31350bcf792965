/*
 * lane: programs one after the other through one lane, each in what its lane had ready: a fork of the same interpreter, or a place that was made
 * before.  What one of them does must not be there for the next; every layer must hold, with the limits of this one; and where what waits
 * dies, the lane goes on with another.
 *
 *   lane JAIL RUNTIMES       as root.  Last line: N passed, N failed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#include "io/loop.h"

#include "workers/sandbox/run.h"

enum { OUTPUT_BYTES = 65536, WAIT_MS = 20000, JOBS = 600, GROWTH_BYTES = 24 * 1024 * 1024 };

struct bench {
	struct loop *loop;
	struct jail *jail;
	const struct runtimes *runtimes;
	struct request *request;
	bool ended_well, warm, gone;
	int64_t peak_bytes, tests_passed;
	char output[OUTPUT_BYTES];
};

static int passed, failed;

static void is(const struct bench *b, const char *what, bool holds)
{
	passed += holds;
	failed += !holds;
	if (!holds)
		printf("FAILED lane: %s: %s, %s: %s\n", what, b->ended_well ? "ended well" : "did not end well", b->warm ? "warm" : "cold", b->output);
}

static void ran(void *arg, enum rc rc, struct outcome *o, const struct err *err)
{
	struct bench *b = arg;
	struct buf text = BUF_INIT(OUTPUT_BYTES - 1);

	b->ended_well = rc == RC_OK && o->verdict == RUN_OK;
	b->warm = rc == RC_OK && slice_is(o->isolation, "native warm");
	if (rc != RC_OK)
		(void)snprintf(b->output, sizeof(b->output), "%s", err->text);
	if (rc == RC_OK && buf_add_unbase64(&text, o->out.base64) == RC_OK && buf_add_unbase64(&text, o->err_out.base64) == RC_OK && text.data)
		memcpy(b->output, text.data, text.len + 1);
	if (rc == RC_OK) {
		b->peak_bytes = o->peak_memory_bytes;
		b->tests_passed = o->tests_passed;
		outcome_release(o);
	}
	buf_release(&text);
	loop_stop(b->loop);
}

static void gone(void *arg)
{
	struct bench *b = arg;

	b->gone = true;
	loop_stop(b->loop);
}

static void run(struct bench *b, const char *language, const char *program)
{
	struct run_order order = { .runtime = runtimes_find(b->runtimes, slice_text(language)), .program = slice_text(program), .request = b->request };
	struct run *one;
	struct err err;

	b->output[0] = 0;
	b->ended_well = b->warm = false;
	if (!b->gone && run_begin(b->jail, &order, ran, b, &one, &err) == RC_OK)
		loop_run(b->loop);
}

static void python(struct bench *b, const char *program)
{
	run(b, "python", program);
}

/* ---- the interpreter, from outside ---- */

static bool read_file(pid_t pid, const char *name, char *out, size_t max)
{
	char path[64];
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	f = fopen(path, "re");
	n = f ? fread(out, 1, max - 1, f) : 0;
	out[n] = 0;
	if (f)
		(void)fclose(f);
	return n > 0;
}

static pid_t parent_of(pid_t pid)
{
	char text[4096];
	const char *at = read_file(pid, "status", text, sizeof(text)) ? strstr(text, "PPid:") : NULL;

	return at ? (pid_t)strtol(at + 5, NULL, 10) : 0;
}

static bool is_called(pid_t pid, const char *name)
{
	char text[64];

	return read_file(pid, "comm", text, sizeof(text)) && strncmp(text, name, strlen(name)) == 0;
}

/* A process of that name so many generations below a lane's spawner, of a jail that we started; 0: there is none. */
static pid_t find(const char *name, int generations)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	pid_t found = 0;

	while (d && !found && (e = readdir(d))) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10), spawner = pid;

		for (int i = 0; spawner > 0 && i < generations; i++)
			spawner = parent_of(spawner);
		if (spawner > 0 && is_called(spawner, "jail-spawner") && is_called(pid, name) && parent_of(parent_of(parent_of(spawner))) == getpid())
			found = pid;
	}
	if (d)
		(void)closedir(d);
	return found;
}

static pid_t wait_for(pid_t (*what)(void), pid_t other_than)
{
	int64_t until_ms = clock_mono_ms() + WAIT_MS;
	pid_t pid;

	while (((pid = what()) == 0 || pid == other_than) && clock_mono_ms() < until_ms)
		(void)usleep(2000); /* between two looks at /proc */
	return pid;
}

static pid_t find_zygote(void)
{
	return find("python3", 1);
}

static pid_t wait_for_zygote(pid_t other_than)
{
	return wait_for(find_zygote, other_than);
}

/* The process that is to be the next program, whatever that is: its init is the spawner's child. */
static pid_t find_blank(void)
{
	return find("jail-spawner", 2);
}

static bool is_gone(pid_t pid)
{
	int64_t until_ms = clock_mono_ms() + WAIT_MS;

	while (kill(pid, 0) == 0 && clock_mono_ms() < until_ms)
		(void)usleep(2000); /* between two looks at the kernel's list */
	return kill(pid, 0) < 0;
}

/* ---- what one job leaves ---- */

static const char poison[] =
	"import builtins, json, os, random, socket, sys, threading, time, gc, math, atexit\n"
	"builtins.len = lambda x: 42\n"
	"json.dumps = lambda x: 'poisoned'\n"
	"math.pi = 3\n"
	"sys.modules['poison'] = sys\n"
	"sys.path.insert(0, '/tmp')\n"
	"sys.setrecursionlimit(77)\n"
	"os.environ['POISON'] = '1'\n"
	"os.putenv('POISON', '1')\n"
	"os.umask(0)\n"
	"random.seed(1)\n"
	"gc.disable()\n"
	"atexit.register(print, 'poison')\n"
	"for place in ('/work', '/tmp', '/dev/shm'): open(place + '/poison.py', 'w').write('x')\n"
	"held = [open('/dev/null') for _ in range(50)]\n"
	"s = socket.socket(); s.bind(('127.0.0.1', 4567)); s.listen()\n"
	"a = socket.socket(socket.AF_UNIX); a.bind('\\0poison')\n"
	"threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
	"if os.fork() == 0:\n"
	"    os.setsid(); time.sleep(1000)\n"
	"print('done')\n";

static const char inspect[] =
	"import sys\n"
	"import builtins, json, os, random, socket, threading, gc, math\n"
	"left = []\n"
	"def is_so(name, holds): holds or left.append(name)\n"
	"is_so('builtins', len('ab') == 2)\n"
	"is_so('json', json.dumps(1) == '1')\n"
	"is_so('math', math.pi > 3.1)\n"
	"is_so('modules', 'poison' not in sys.modules and '/tmp' not in sys.path)\n"
	"is_so('recursion', sys.getrecursionlimit() == 1000)\n"
	"is_so('environment', sorted(os.environ) == ['HOME', 'LANG', 'PATH', 'PYTHONHASHSEED', 'TMPDIR'])\n"
	"is_so('first environment', b'PRELOAD' not in open('/proc/self/environ', 'rb').read())\n"
	"is_so('umask', os.umask(18) == 18)\n"
	"is_so('collector', gc.isenabled())\n"
	"is_so('work', os.listdir('/work') == ['main.py'])\n"
	"is_so('tmp', os.listdir('/tmp') == [] and os.listdir('/dev/shm') == [])\n"
	"is_so('descriptors', [n for n in range(256) if os.path.exists(f'/proc/self/fd/{n}')] == [0, 1, 2])\n"
	"s = socket.socket()\n"
	"is_so('port', s.connect_ex(('127.0.0.1', 4567)) != 0)\n"
	"a = socket.socket(socket.AF_UNIX)\n"
	"is_so('abstract socket', a.connect_ex('\\0poison') != 0)\n"
	"is_so('threads', threading.active_count() == 1 and len(os.listdir('/proc/self/task')) == 1)\n"
	"is_so('processes', [n for n in os.listdir('/proc') if n.isdigit()] == ['1', '2'] and os.getpid() == 2)\n"
	"status = dict((l.split(':')[0], l.split(':')[1].strip()) for l in open('/proc/self/status'))\n"
	"def of_init(key, base):\n"
	"    return int(next(l for l in open('/proc/1/status') if l.startswith(key)).split()[1], base)\n"
	"def opens(name):\n"
	"    try:\n"
	"        return bool(open(name, 'rb'))\n"
	"    except OSError:\n"
	"        return False\n"
	"is_so('init is closed', not any(opens('/proc/1/' + name) for name in ('mem', 'maps', 'environ', 'auxv')))\n"
	"while of_init('CapEff', 16) or of_init('CapPrm', 16): pass\n" /* it may be on its way to be that program */
	"is_so('init has memory of its own', of_init('VmSize', 10) < 4096)\n"
	"is_so('filter', status['Seccomp'] == '2' and status['NoNewPrivs'] == '1')\n"
	"is_so('capabilities', all(int(status['Cap' + k], 16) == 0 for k in ('Inh', 'Prm', 'Eff', 'Bnd', 'Amb')))\n"
	"is_so('ids', os.getresuid() == os.getresgid() == (1000,) * 3 and os.getgroups() in ([], [1000]))\n"
	"import resource\n"
	"is_so('rlimits', resource.getrlimit(resource.RLIMIT_NOFILE) == (256, 256) and resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)\n"
	"      and resource.getrlimit(resource.RLIMIT_FSIZE)[1] == 33554432 and resource.getrlimit(resource.RLIMIT_CPU)[1] == 11)\n"
	"is_so('memory map', not any('airlock' in l or '/.deps' in l for l in open('/proc/self/maps')))\n"
	"is_so('mounts', not any('airlock-jail/root' in l and 'airlock-jail/root/' in l.split()[4] for l in open('/proc/self/mountinfo')))\n"
	"is_so('host', not os.path.exists('/run/airlock-jail') and not os.path.exists('/proc/sys') and not os.path.exists('/home'))\n"
	"import subprocess\n"
	"is_so('children', subprocess.run(['/bin/sh', '-c', 'echo $LD_PRELOAD'], capture_output=True).stdout == b'\\n')\n"
	"print('left:', left)\n";

static void leaves_nothing(struct bench *b)
{
	char first[64];

	python(b, "print(1)\n");
	is(b, "the first program of a lane", b->ended_well);
	(void)wait_for_zygote(0);
	python(b, poison);
	is(b, "a program that spoils all it reaches", b->ended_well && b->warm && strncmp(b->output, "done", 4) == 0);
	python(b, inspect);
	is(b, "the next finds nothing of it", b->ended_well && b->warm && strcmp(b->output, "left: []\n") == 0);
	python(b, "import random; print(random.random())\n");
	(void)snprintf(first, sizeof(first), "%.60s", b->output);
	python(b, "import random; print(random.random())\n");
	is(b, "no two draw the same numbers", b->ended_well && b->warm && first[0] && strcmp(first, b->output) != 0);
}

/* ---- what becomes of the interpreter ---- */

static void is_replaced(struct bench *b)
{
	pid_t before = wait_for_zygote(0), after;

	python(b, "print(1)\n");
	is(b, "one interpreter serves many", b->warm && find_zygote() == before);
	(void)kill(before, SIGKILL);
	python(b, "print(1)\n");
	is(b, "a program whose interpreter died runs all the same", b->ended_well && strcmp(b->output, "1\n") == 0);
	after = wait_for_zygote(before);
	python(b, "print(1)\n");
	is(b, "another takes its place", b->ended_well && b->warm && after > 0 && after != before);
	run(b, "shell", "echo 1\n");
	is(b, "a program of another language has the lane for itself", b->ended_well && find_zygote() == 0);
	python(b, "print(1)\n");
	is(b, "and then it is python's again", b->ended_well && wait_for_zygote(0) > 0);
}

/* So that whoever reads them next has them on its account. */
static void forget_files(const char *pattern)
{
	glob_t found;

	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);

		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* those in use stay: there are others */
		(void)close(fd);
	}
	globfree(&found);
}

static void is_renewed(struct bench *b)
{
	int64_t first = 0;
	int cold = 0, wrong = 0;
	pid_t before;

	python(b, "print(1)\n");
	before = wait_for_zygote(0);
	for (int i = 0; i < JOBS; i++) {
		python(b, "print(1)\n");
		cold += !b->warm;
		wrong += !b->ended_well;
		first = i == 0 ? b->peak_bytes : first;
	}
	is(b, "hundreds in a row are warm, and right", cold == 0 && wrong == 0);
	is(b, "memory that one is said to have used does not grow with those before it", b->peak_bytes < first + GROWTH_BYTES);
	forget_files("/usr/lib/x86_64-linux-gnu/*.so*");
	python(b, "import glob; print(sum(len(open(f, 'rb').read()) for f in glob.glob('/usr/lib/x86_64-linux-gnu/*.so*')) > 1 << 26)\n");
	for (int i = 0; i < 3; i++)
		python(b, "print(1)\n");
	is(b, "nor with the files that they read", b->ended_well && b->peak_bytes < first + GROWTH_BYTES);
	forget_files("/usr/lib/x86_64-linux-gnu/*.so*");
	run(b, "shell", "cat /usr/lib/x86_64-linux-gnu/*.so* | wc -c\n");
	is(b, "a reader has them on its account", b->ended_well && b->peak_bytes > GROWTH_BYTES);
	run(b, "shell", ":\n");
	is(b, "a program that was started anew has not", b->ended_well && b->peak_bytes < GROWTH_BYTES);
	python(b, "print(1)\n");
	is(b, "no interpreter forks for ever", wait_for_zygote(0) != before);
}

/* ---- a place that waits for any program ---- */

static void shell(struct bench *b, const char *program)
{
	run(b, "shell", program);
}

static const char spoil[] =
	"for place in /work /tmp /dev/shm; do echo x >$place/poison; done\n"
	"export POISON=1; umask 0; ulimit -n 20; mkfifo /tmp/pipe\n"
	"sleep 1000 & setsid sleep 1000 &\n"
	"echo done\n";

static const char look[] =
	"ls -A /work /tmp /dev/shm | tr '\\n' ' '\n"
	"echo $POISON $(umask) $(ulimit -n) $(hostname) $(env | cut -d= -f1 | sort)\n"
	"cd /proc; echo [0-9]*\n"
	"cd /proc/$$/fd; echo *\n"
	"grep -E '^(Seccomp|NoNewPrivs|CapEff|CapBnd):' /proc/self/status | cut -f2 | tr '\\n' ' '\n";

static void waits_for_any(struct bench *b)
{
	pid_t before, after, init;

	shell(b, ":\n");
	before = wait_for(find_blank, 0);
	is(b, "behind a program that starts anew a place waits", b->ended_well && before > 0);
	shell(b, spoil);
	is(b, "one that spoils all it reaches", b->ended_well && strcmp(b->output, "done\n") == 0);
	after = wait_for(find_blank, before);
	is(b, "no place is used twice", is_gone(before) && after > 0 && after != before);
	shell(b, look);
	is(b, "the next finds nothing of it, and every layer", b->ended_well && strcmp(b->output, "/dev/shm:  /tmp:  /work: main.sh "
	   "0022 256 sandbox HOME LANG PATH PWD SHLVL TMPDIR _\n1 2\n0 1 2 255 3\n0000000000000000 0000000000000000 1 2 ") == 0);
	(void)kill(wait_for(find_blank, after), SIGSTOP);
	b->request->limits.wall_ms = 200;
	shell(b, ":\n");
	is(b, "the program is what waited: stopped, it does not come to its end", !b->ended_well);
	b->request->limits.wall_ms = 0;
	shell(b, "echo 1\n");
	is(b, "and the next comes to its own", b->ended_well && strcmp(b->output, "1\n") == 0);
	init = parent_of(wait_for(find_blank, 0));
	(void)kill(init, SIGKILL);
	(void)is_gone(init);
	shell(b, "echo 1\n");
	is(b, "a place that died meanwhile is none", b->ended_well && strcmp(b->output, "1\n") == 0);
}

/* Each is another than those that the place was made with. */
static void has_its_own_limits(struct bench *b)
{
	struct run_limits *l = &b->request->limits;

	(void)wait_for(find_blank, 0);
	l->disk_bytes = 1024 * 1024;
	shell(b, "head -c 2000000 /dev/zero >a; echo $(ulimit -f) $(stat -f -c '%b*%S' /work)\n");
	is(b, "a smaller disk", strstr(b->output, "1024 256*4096") != NULL);
	(void)wait_for(find_blank, 0);
	l->disk_bytes = 64 * 1024 * 1024;
	shell(b, "head -c 60000000 /dev/zero >a && stat -c %s a\n");
	is(b, "a larger disk", b->ended_well && strcmp(b->output, "60000000\n") == 0);
	(void)wait_for(find_blank, 0);
	*l = (struct run_limits){ .memory_bytes = 16 * 1024 * 1024 };
	shell(b, "head -c 30000000 /dev/zero | tail -c 29000000 | wc -c\n");
	is(b, "less memory", !b->ended_well && strstr(b->output, "29000000") == NULL);
	(void)wait_for(find_blank, 0);
	*l = (struct run_limits){ .cpu_ms = 3000, .pids = 1 };
	shell(b, "ulimit -t; ls\n");
	is(b, "other processor time, fewer processes", !b->ended_well && strncmp(b->output, "4\n", 2) == 0 && strstr(b->output, "fork") != NULL);
	*l = (struct run_limits){ 0 };
	(void)wait_for(find_blank, 0);
	run(b, "c", "#include <stdio.h>\nint main(void) { return puts(\"1\") < 0; }\n");
	is(b, "a compile takes it, and its program", b->ended_well && strcmp(b->output, "1\n") == 0);
}

static void forks_each_test(struct bench *b)
{
	static const struct test twice = { .kind = TEST_IO, .input = SLICE_LITERAL("2\n"), .expected = SLICE_LITERAL("4\n") };

	for (b->request->test_count = 0; b->request->test_count < 5; b->request->test_count++)
		b->request->tests[b->request->test_count] = twice;
	python(b, "print(2 * int(input()))\n");
	is(b, "each test of a request is a fork", b->ended_well && b->warm && b->tests_passed == 5);
	b->request->test_count = 0;
	b->request->limits.memory_bytes = 20 * 1024 * 1024;
	python(b, "print(1)\n");
	is(b, "too little memory for a fork is a cold start", b->ended_well && !b->warm);
	b->request->limits.memory_bytes = 0;
}

int main(int argc, char **argv)
{
	struct runtimes *runtimes = mem_new(sizeof(*runtimes));
	struct bench *b = mem_new(sizeof(*b));
	struct err err = { 0 };
	pid_t last;

	b->request = mem_new(sizeof(*b->request));
	b->runtimes = runtimes;
	if (argc != 3 || runtimes_open(argv[2], runtimes, &err) != RC_OK ||
	    jail_start(&(struct jail_how){ .program = argv[1], .lanes = 1 }, &b->jail, &err) != RC_OK) {
		printf("FAILED lane: %s\n0 passed, 1 failed\n", err.text);
		return 1;
	}
	b->loop = loop_new();
	jail_attach(b->jail, b->loop, gone, b);
	leaves_nothing(b);
	is_replaced(b);
	forks_each_test(b);
	waits_for_any(b);
	has_its_own_limits(b);
	is_renewed(b);
	is(b, "the jail holds", !b->gone);
	shell(b, ":\n");
	last = wait_for(find_blank, 0);
	jail_stop(b->jail);
	is(b, "what waits ends with the jail", last > 0 && is_gone(last));
	loop_free(b->loop);
	runtimes_release(runtimes);
	mem_free(runtimes);
	mem_free(b->request);
	mem_free(b);
	printf("%d passed, %d failed\n", passed, failed);
	return failed > 0;
}
