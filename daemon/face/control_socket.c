/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/control_socket.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 64

static int __attribute__((format(printf, 3, 4))) open_fail(char *error, size_t error_bytes, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_bytes, format, arguments);
	va_end(arguments);
	return -1;
}

static int directory_make(const char *path, char *error, size_t error_bytes)
{
	char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	strcpy(directory, path);
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	if (mkdir(directory, 0755) == 0)
		return chmod(directory, 0755) == 0 /* a umask of 077 would keep the group out */
			       ? 0
			       : open_fail(error, error_bytes, "%s: %s", directory, strerror(errno));
	if (errno == EEXIST)
		return 0;
	return open_fail(error, error_bytes, "cannot create %s for the control socket: %s", directory, strerror(errno));
}

/* A file left by a daemon that was killed gives way; one that somebody listens on does not. */
static int stale_remove(const struct sockaddr_un *address, char *error, size_t error_bytes)
{
	const char *path = address->sun_path;
	struct stat status;

	if (lstat(path, &status) != 0)
		return errno == ENOENT ? 0
				       : open_fail(error, error_bytes, "control socket %s: %s", path, strerror(errno));
	if (!S_ISSOCK(status.st_mode))
		return open_fail(error, error_bytes, "control socket %s: the file exists and is no socket", path);

	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return open_fail(error, error_bytes, "control socket: %s", strerror(errno));
	int failure = connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;
	close(probe);

	if (failure == 0 || failure == EAGAIN) /* EAGAIN: it listens, and its backlog is full */
		return open_fail(error, error_bytes, "control socket %s is in use: another synmoatd runs", path);
	if (failure != ECONNREFUSED)
		return open_fail(error, error_bytes, "control socket %s: %s", path, strerror(failure));
	if (unlink(path) != 0 && errno != ENOENT)
		return open_fail(error, error_bytes, "cannot remove stale control socket %s: %s", path,
				 strerror(errno));
	return 0;
}

/* Without CAP_CHOWN a file goes to groups of our own only (chown(2)). That costs the operators their access, and nobody the
 * protection: the file stays with our own group. Where everybody may connect nothing is lost. */
static int group_give(struct control_socket *made, const struct control_setup *setup, char *error, size_t error_bytes)
{
	const struct group *group;
	char name[64];

	if (lchown(setup->path, (uid_t)-1, setup->group) == 0)
		return 0;
	if (errno != EPERM)
		return open_fail(error, error_bytes, "cannot give control socket %s to group %u: %s", setup->path,
				 (unsigned)setup->group, strerror(errno));
	group = getgrgid(setup->group);
	if (group)
		snprintf(name, sizeof(name), "%s", group->gr_name);
	else
		snprintf(name, sizeof(name), "%u", (unsigned)setup->group);
	if (!setup->everybody_reads)
		snprintf(
			made->warning, sizeof(made->warning),
			"cannot give control socket %s to group %s: synmoatd runs as user %u, in other groups. Until it "
			"is started in that one (systemctl edit synmoat: [Service] Group=%s) synmoatctl is for root and "
			"for synmoatd's own group %u, which may look",
			setup->path, name, (unsigned)geteuid(), name, (unsigned)getegid());
	return 0;
}

/* The file begins as ours alone (bind() takes the socket's mode less the umask), then gets its group, and only then the
 * mode that lets others in. */
static int file_make(struct control_socket *made, const struct control_setup *setup, char *error, size_t error_bytes)
{
	const char *path = made->address.sun_path;
	struct stat status;

	made->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (made->fd < 0 || fchmod(made->fd, 0600) != 0)
		return open_fail(error, error_bytes, "control socket: %s", strerror(errno));
	if (bind(made->fd, (struct sockaddr *)&made->address, sizeof(made->address)) != 0)
		return open_fail(error, error_bytes, "cannot bind control socket %s: %s", path, strerror(errno));
	if (lstat(path, &status) != 0)
		return open_fail(error, error_bytes, "control socket %s: %s", path, strerror(errno));
	made->device = status.st_dev;
	made->inode = status.st_ino;
	if (setup->has_group && status.st_gid != setup->group && group_give(made, setup, error, error_bytes) != 0)
		return -1;
	if (chmod(path, setup->everybody_reads ? 0666 : 0660) != 0 || listen(made->fd, BACKLOG) != 0)
		return open_fail(error, error_bytes, "control socket %s: %s", path, strerror(errno));
	return 0;
}

int control_socket_open(struct control_socket *made, const struct control_setup *setup, char *error, size_t error_bytes)
{
	const char *path = setup->path;

	*made = (struct control_socket){.fd = -1, .address.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(made->address.sun_path))
		return open_fail(error, error_bytes, "control socket %s: the path is longer than %zu bytes", path,
				 sizeof(made->address.sun_path) - 1);
	strcpy(made->address.sun_path, path);
	if (directory_make(path, error, error_bytes) != 0 || stale_remove(&made->address, error, error_bytes) != 0 ||
	    file_make(made, setup, error, error_bytes) != 0) {
		control_socket_close(made);
		return -1;
	}
	return 0;
}

void control_socket_close(struct control_socket *made)
{
	struct stat status;

	if (made->inode && lstat(made->address.sun_path, &status) == 0 && status.st_dev == made->device &&
	    status.st_ino == made->inode)
		unlink(made->address.sun_path);
	if (made->fd >= 0)
		close(made->fd);
	made->fd = -1;
	made->inode = 0;
}
