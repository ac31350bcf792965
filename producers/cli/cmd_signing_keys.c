/*
 * airlock signing-keys: from one master to a file a program.  Files are replaced whole (written beside, then renamed), so a program that
 * starts meanwhile reads the old or the new one.  The master is never changed once it is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/mem.h"

#include "model/keyring.h"

#include "producers/cli/cli.h"

enum { MASTER_BYTES = 32, MASTER_MAX_BYTES = 4096, FILE_MAX_BYTES = 256 * 1024, PATH_BYTES = 4096 };

/* path: "DIR/name", then ".new" for what is being written. */
static enum rc write_secret(const char *path, struct slice bytes, struct err *err)
{
	char beside[PATH_BYTES];
	int fd;
	bool good;

	if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside))
		return err_set(err, RC_NEVER, "path", "%s: too long", path);
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(err, RC_NEVER, "open", "%s: %s", beside, strerror(errno));
	good = fchmod(fd, 0600) == 0 && write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len && fsync(fd) == 0;
	good = close(fd) == 0 && good;
	if (!good || rename(beside, path) != 0) {
		err_set(err, RC_NEVER, "write", "%s: %s", path, strerror(errno));
		(void)unlink(beside);
		return RC_NEVER;
	}
	return RC_OK;
}

static enum rc read_secret(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *room = fd < 0 ? NULL : buf_room(out, MASTER_MAX_BYTES);
	ssize_t n = room ? read(fd, room, MASTER_MAX_BYTES) : -1;
	struct stat st;

	if (fd < 0 || n < 0 || fstat(fd, &st) < 0) {
		err_set(err, RC_NEVER, "open", "%s: %s", path, strerror(errno));
		if (fd >= 0)
			(void)close(fd); /* read only */
		return RC_NEVER;
	}
	(void)close(fd);
	buf_grew(out, (size_t)n);
	if (st.st_mode & 077)
		return err_set(err, RC_NEVER, "mode", "%s: others may read it; chmod 600 it, or make a new one", path);
	if (n < MASTER_BYTES)
		return err_set(err, RC_NEVER, "short", "%s: at least %d bytes expected", path, MASTER_BYTES);
	return RC_OK;
}

/* Random bytes, made once. */
static enum rc make_secret(const char *path, bool *made, struct err *err)
{
	unsigned char bytes[MASTER_BYTES];
	struct stat st;
	enum rc rc;

	*made = false;
	if (lstat(path, &st) == 0)
		return RC_OK;
	digest_random(bytes, sizeof(bytes));
	rc = write_secret(path, slice_of(bytes, sizeof(bytes)), err);
	mem_wipe(bytes, sizeof(bytes));
	*made = rc == RC_OK;
	return rc;
}

static enum rc write_files(const char *dir, struct slice master, int64_t epoch, struct err *err)
{
	enum rc rc = RC_OK;

	for (int p = 0; rc == RC_OK && p < PROGRAM_COUNT; p++) {
		AUTO_BUF struct buf text = BUF_INIT(FILE_MAX_BYTES);
		char path[PATH_BYTES];

		rc = keyring_make(master, (enum program)p, epoch > 1 ? epoch - 1 : 1, epoch + 1, epoch, &text);
		if (rc != RC_OK)
			return err_set(err, rc, "keyring", "%s: cannot make its keys", program_name((enum program)p));
		(void)snprintf(path, sizeof(path), "%s/%s.json", dir, program_name((enum program)p)); /* dir's length is checked */
		rc = write_secret(path, buf_slice(&text), err);
		mem_wipe(text.data, text.len);
	}
	return rc;
}

static int make_all(const struct cli *c, const char *dir, const char *master_path, int64_t epoch)
{
	AUTO_BUF struct buf master = BUF_INIT(MASTER_MAX_BYTES + 1);
	char id_path[PATH_BYTES];
	struct err err = { 0 };
	bool made_master = false, made_id = false;
	enum rc rc;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return cli_fail(c, CLI_NONE, "%s: %s", dir, strerror(errno));
	(void)snprintf(id_path, sizeof(id_path), "%s/gateway-id.key", dir); /* dir's length is checked */
	rc = make_secret(master_path, &made_master, &err);
	if (rc == RC_OK)
		rc = make_secret(id_path, &made_id, &err);
	if (rc == RC_OK)
		rc = read_secret(master_path, &master, &err);
	if (rc == RC_OK)
		rc = write_files(dir, buf_slice(&master), epoch, &err);
	if (master.data)
		mem_wipe(master.data, master.len);
	if (rc != RC_OK)
		return cli_fail(c, CLI_NONE, "%s", err.text);
	if (c->json)
		printf("{\"programs\":%d,\"epoch\":%lld,\"new_master\":%s,\"new_id_key\":%s}\n", PROGRAM_COUNT, (long long)epoch,
		       made_master ? "true" : "false", made_id ? "true" : "false");
	else
		printf("%d key files for epoch %lld in %s%s\n", PROGRAM_COUNT, (long long)epoch, dir, made_master ? ", from a new master" : "");
	return CLI_OK;
}

int cmd_signing_keys(struct cli *c)
{
	const char *dir = c->args.rest[0], *master = args_text(&c->args, "master");
	char usual[PATH_BYTES];

	if (strlen(dir) > PATH_BYTES - 64)
		return cli_fail(c, CLI_USE, "the folder's path is too long");
	if (!master) {
		(void)snprintf(usual, sizeof(usual), "%s/master.key", dir); /* fits: checked above */
		master = usual;
	}
	return make_all(c, dir, master, args_int(&c->args, "epoch", 1));
}
