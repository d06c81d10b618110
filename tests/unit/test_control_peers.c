/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control_clients.h"

/* Who is there: as root, who can be somebody else for the time of a connect(). */

static void restart(const struct control_setup *setup)
{
	control_close(control);
	control = open_as(setup);
	ck_assert_msg(control != NULL, "%s", error);
}

/* A connection of a user with these groups. The kernel notes whose it is in connect(). */
static int socket_as(uid_t uid, gid_t gid, const gid_t *groups, size_t group_count)
{
	int fd;

	ck_assert_int_eq(setgroups(group_count, groups), 0);
	ck_assert_int_eq(setegid(gid), 0);
	ck_assert_int_eq(seteuid(uid), 0);
	fd = socket_to(path, false);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(setegid(0), 0);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	return fd;
}

static bool may_change(int fd)
{
	say(fd, "who am I\n");
	serve();
	hear(fd);
	ck_assert_str_eq(received, "you said who am I\n");
	return last_peer.may_change;
}

START_TEST(root_may_change_and_is_told_by_uid_and_pid)
{
	ck_assert(may_change(socket_to(path, false)));
	ck_assert_uint_eq(last_peer.uid, 0);
	ck_assert_int_eq(last_peer.pid, getpid());
}
END_TEST

START_TEST(a_stranger_may_ask_where_everybody_reads_but_not_change)
{
	restart(&(struct control_setup){.path = path, .everybody_reads = true});
	ck_assert(!may_change(socket_as(STRANGER, STRANGER, NULL, 0)));
	ck_assert_uint_eq(last_peer.uid, STRANGER);
}
END_TEST

START_TEST(a_stranger_is_still_one_in_a_process_of_its_own)
{
	int go[2], status;
	pid_t child;
	char byte;

	restart(&(struct control_setup){
		.path = path, .has_group = true, .group = CONTROL_GROUP, .everybody_reads = true});
	ck_assert_int_eq(pipe(go), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		int fd;

		if (setgroups(0, NULL) != 0 || setresgid(STRANGER, STRANGER, STRANGER) != 0 ||
		    setresuid(STRANGER, STRANGER, STRANGER) != 0)
			_exit(1);
		fd = socket_to(path, false);
		say(fd, "reload\n");
		(void)!write(go[1], "", 1);
		_exit(recv(fd, &byte, 1, 0) == 1 ? 0 : 1);
	}
	ck_assert_int_eq(read(go[0], &byte, 1), 1);
	serve();
	ck_assert_str_eq(last_request, "reload");
	ck_assert(!last_peer.may_change);
	ck_assert_int_eq(last_peer.pid, child);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	close(go[0]);
	close(go[1]);
}
END_TEST

START_TEST(the_control_group_may_change_as_primary_or_supplementary_group)
{
	const gid_t groups[] = {STRANGER - 1, CONTROL_GROUP}, others[] = {STRANGER - 1, CONTROL_GROUP + 1};

	restart(&(struct control_setup){
		.path = path, .has_group = true, .group = CONTROL_GROUP, .everybody_reads = true});
	ck_assert(may_change(socket_as(STRANGER, CONTROL_GROUP, NULL, 0)));
	ck_assert(may_change(socket_as(STRANGER, STRANGER, groups, 2)));
	ck_assert(!may_change(socket_as(STRANGER, STRANGER, others, 2)));
	ck_assert(!may_change(socket_as(STRANGER, 0, NULL, 0)));
}
END_TEST

START_TEST(a_group_among_very_many_counts)
{
	gid_t groups[5000];

	for (unsigned i = 0; i < 5000; i++)
		groups[i] = 10000 + i;
	restart(&(struct control_setup){.path = path, .has_group = true, .group = 14999, .everybody_reads = true});
	ck_assert(may_change(socket_as(STRANGER, STRANGER, groups, 5000)));
	ck_assert(!may_change(socket_as(STRANGER, STRANGER, groups, 4999)));
}
END_TEST

START_TEST(without_a_control_group_none_makes_a_difference)
{
	const gid_t root_group = 0;

	restart(&(struct control_setup){.path = path});
	ck_assert(!may_change(socket_as(STRANGER, 0, NULL, 0)));
	ck_assert(!may_change(socket_as(STRANGER, STRANGER, &root_group, 1)));
}
END_TEST

START_TEST(strangers_cannot_connect_unless_everybody_reads)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	restart(&(struct control_setup){.path = path, .has_group = true, .group = CONTROL_GROUP});
	strcpy(address.sun_path, path);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setegid(STRANGER), 0);
	ck_assert_int_eq(seteuid(STRANGER), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert_int_eq(seteuid(0), 0);
	close(fd);
	ck_assert(may_change(socket_as(STRANGER, CONTROL_GROUP, NULL, 0)));
}
END_TEST

START_TEST(strangers_leave_places_for_those_who_may_change)
{
	int fds[CLIENTS_OTHERS], extra;

	restart(&(struct control_setup){.path = path, .everybody_reads = true});
	for (int i = 0; i < CLIENTS_OTHERS; i++) {
		fds[i] = socket_as(STRANGER, STRANGER, NULL, 0);
		serve();
	}
	extra = socket_as(STRANGER, STRANGER, NULL, 0);
	serve();
	hear(extra);
	ck_assert_str_eq(received, "error: too many clients, try again\n");
	ck_assert(may_change(socket_to(path, false)));
	for (int i = 0; i < CLIENTS_OTHERS; i++)
		ck_assert(!may_change(fds[i]));
}
END_TEST

START_TEST(strangers_who_follow_leave_places_for_those_who_may_change)
{
	int fds[FOLLOWERS_OTHERS], extra;

	restart(&(struct control_setup){.path = path, .everybody_reads = true});
	for (int i = 0; i < FOLLOWERS_OTHERS; i++) {
		fds[i] = socket_as(STRANGER, STRANGER, NULL, 0);
		say(fds[i], "follow\n");
		serve();
		ck_assert_str_eq(heard(fds[i]), "you said follow\n");
	}
	extra = socket_as(STRANGER, STRANGER, NULL, 0);
	say(extra, "follow\n");
	serve();
	hear(extra);
	ck_assert_str_eq(received, "error: too many followers, try again\n");
	close(follower("follow\n"));
	for (int i = 0; i < FOLLOWERS_OTHERS; i++)
		close(fds[i]);
}
END_TEST

START_TEST(the_file_belongs_to_the_group_and_is_as_open_as_asked)
{
	struct stat status;

	for (int everybody = 0; everybody <= 1; everybody++) {
		umask(everybody ? 077 : 0);
		restart(&(struct control_setup){
			.path = path, .has_group = true, .group = CONTROL_GROUP, .everybody_reads = everybody});
		ck_assert_int_eq(stat(path, &status), 0);
		ck_assert_uint_eq(status.st_mode & 07777, everybody ? 0666 : 0660);
		ck_assert_uint_eq(status.st_gid, CONTROL_GROUP);
		ck_assert_uint_eq(status.st_uid, 0);
		ck_assert_str_eq(control_warning(control), "");
	}
}
END_TEST

START_TEST(a_group_that_we_may_not_give_the_file_to_is_a_warning)
{
	struct control *ungiven;
	struct stat status;

	ck_assert_int_eq(chmod(directory, 0777), 0);
	snprintf(path, sizeof(path), "%s/other.sock", directory);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setegid(STRANGER), 0);
	ck_assert_int_eq(seteuid(STRANGER), 0);
	ungiven = open_as(&(struct control_setup){.path = path, .has_group = true, .group = CONTROL_GROUP});
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_msg(ungiven != NULL, "%s", error);
	ck_assert_ptr_nonnull(strstr(control_warning(ungiven), "to group 4711: "));
	ck_assert_ptr_nonnull(strstr(control_warning(ungiven), "own group 65534, which may look"));
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_gid, STRANGER);
	ck_assert_uint_eq(status.st_mode & 07777, 0660);
	control_close(ungiven);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

/* Its members may connect as everybody may, and are known by their groups. */
START_TEST(a_group_is_not_needed_where_everybody_may_connect)
{
	struct control *ungiven;

	ck_assert_int_eq(chmod(directory, 0777), 0);
	snprintf(path, sizeof(path), "%s/other.sock", directory);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setegid(STRANGER), 0);
	ck_assert_int_eq(seteuid(STRANGER), 0);
	ungiven = open_as(&(struct control_setup){
		.path = path, .has_group = true, .group = CONTROL_GROUP, .everybody_reads = true});
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_msg(ungiven != NULL, "%s", error);
	ck_assert_str_eq(control_warning(ungiven), "");
	control_close(ungiven);
}
END_TEST

static Suite *control_peers_suite(void)
{
	Suite *suite = suite_create("control_peers");
	TCase *peers = tcase_create("peers");

	if (geteuid() != 0)
		return suite;
	suite_add_tcase(suite, peers);
	tcase_add_checked_fixture(peers, control_start, control_stop);
	tcase_add_test(peers, root_may_change_and_is_told_by_uid_and_pid);
	tcase_add_test(peers, a_stranger_may_ask_where_everybody_reads_but_not_change);
	tcase_add_test(peers, a_stranger_is_still_one_in_a_process_of_its_own);
	tcase_add_test(peers, the_control_group_may_change_as_primary_or_supplementary_group);
	tcase_add_test(peers, a_group_among_very_many_counts);
	tcase_add_test(peers, without_a_control_group_none_makes_a_difference);
	tcase_add_test(peers, strangers_cannot_connect_unless_everybody_reads);
	tcase_add_test(peers, strangers_leave_places_for_those_who_may_change);
	tcase_add_test(peers, strangers_who_follow_leave_places_for_those_who_may_change);
	tcase_add_test(peers, the_file_belongs_to_the_group_and_is_as_open_as_asked);
	tcase_add_test(peers, a_group_that_we_may_not_give_the_file_to_is_a_warning);
	tcase_add_test(peers, a_group_is_not_needed_where_everybody_may_connect);
	return suite;
}

int main(void)
{
	return unit_main(control_peers_suite());
}
