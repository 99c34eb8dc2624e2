/*
 * secret_file.c - secrets that are kept in files of the database server; see secret_file.h.
 *
 * Must not know: what the secret is for.
 */
#include "net/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"

#include "wire/text.h"

#define WORD_MAX 8192

size_t
ampsf_secret_file_bytes(const char *path, const char *what, char *buf, size_t size)
{
	struct stat st;
	int fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not open %s file \"%s\": %m", what, path)));
	if (!S_ISREG(st.st_mode))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("%s file \"%s\" is not a regular file", what, path)));
	if ((st.st_uid != geteuid() && st.st_uid != 0) ||
		st.st_mode &
			(st.st_uid == 0 && geteuid() != 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("%s file \"%s\" has group or world access", what, path),
				 errhint("It must belong to the database user with permissions 0600 or less, or to "
						 "root with 0640 or less.")));
	n = read(fd, buf, size);
	if (n < 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not read %s file \"%s\": %m", what, path)));
	CloseTransientFile(fd);
	if ((size_t) n == size)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("%s file \"%s\" is too large", what, path)));
	return n;
}

char *
ampsf_secret_file_word(const char *path, const char *what)
{
	char *word = palloc(WORD_MAX);
	size_t n = ampsf_secret_file_bytes(path, what, word, WORD_MAX);

	while (n > 0 && strchr(" \t\r\n", word[n - 1]))
		n--;
	word[n] = '\0';
	if (strlen(word) != n || !ampsf_is_token(word))
	{
		explicit_bzero(word, WORD_MAX);
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						errmsg("could not use %s file \"%s\"", what, path),
						errdetail("It does not hold one word without spaces.")));
	}
	return word;
}

static bool
fail(char **problem, const char *what, const char *path)
{
	*problem = psprintf("could not %s file \"%s\": %s", what, path, strerror(errno));
	return false;
}

bool
ampsf_secret_file_replace(const char *path, const char *word, char **problem)
{
	char *temporary = psprintf("%s.new", path);
	size_t len = strlen(word);
	int fd;
	bool written;

	/* What a crash left there is incomplete, or has been put in place already. */
	unlink(temporary);
	fd = OpenTransientFilePerm(temporary, O_WRONLY | O_CREAT | O_EXCL | PG_BINARY,
							   S_IRUSR | S_IWUSR);
	if (fd < 0)
		return fail(problem, "create", temporary);
	errno = 0;
	written = write(fd, word, len) == (ssize_t) len && write(fd, "\n", 1) == 1 && pg_fsync(fd) == 0;
	if (errno == 0 && !written)
		errno = ENOSPC;
	if (CloseTransientFile(fd) != 0 || !written)
	{
		fail(problem, "write", temporary);
		unlink(temporary);
		return false;
	}
	if (durable_rename(temporary, path, LOG) != 0)
	{
		fail(problem, "replace", path);
		unlink(temporary);
		return false;
	}
	return true;
}
