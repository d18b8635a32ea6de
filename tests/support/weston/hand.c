/*
 * A weston module: a hand on the keyboard and mouse of a compositor that has neither, and an eye on its screen.
 *
 * weston's headless backend has no seat, and without one many programs open no window. This module makes a seat and
 * obeys orders, a line each, that are written into the FIFO which TICKSCOPE_HAND names:
 *
 *   key CODE 0|1         a key, by its number in linux/input-event-codes.h, goes up or down
 *   button CODE 0|1      a button of the mouse, likewise
 *   move X Y             the mouse moves to a pixel of the screen
 *   wheel NOTCHES        the wheel turns, away from the user when positive
 *   record FILE          what the screen shows goes into FILE (as wcap), first all of it, then the changes
 *   stop                 FILE is complete
 *
 * A line that is none of these ends weston, so that a test with a slip of the pen fails.
 */
#include <fcntl.h>
#include <linux/input-event-codes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libweston/libweston.h>

/* These are for backends: libweston exports them, but installs no header that declares them. */
void weston_seat_init(struct weston_seat *seat, struct weston_compositor *compositor, const char *name);
int weston_seat_init_keyboard(struct weston_seat *seat, struct xkb_keymap *keymap);
int weston_seat_init_pointer(struct weston_seat *seat);
void notify_key(struct weston_seat *seat, const struct timespec *time, uint32_t key,
		enum wl_keyboard_key_state state, enum weston_key_state_update update);
void notify_button(struct weston_seat *seat, const struct timespec *time, int32_t button,
		   enum wl_pointer_button_state state);
void notify_motion_absolute(struct weston_seat *seat, const struct timespec *time, double x, double y);
void notify_axis(struct weston_seat *seat, const struct timespec *time, struct weston_pointer_axis_event *event);
void notify_axis_source(struct weston_seat *seat, uint32_t source);
void notify_pointer_frame(struct weston_seat *seat);

/* How far weston's own backends scroll for a notch. */
#define NOTCH 10.0

/* Between two attempts to begin a recording, in ms: the one before ends with a frame of its own. */
#define AGAIN_MS 5

struct hand {
	struct weston_compositor *compositor;
	struct weston_seat seat;
	FILE *orders;
	struct weston_recorder *recorder;
	struct wl_event_source *again;
	char path[512];
};

static void
turn_wheel(struct hand *hand, const struct timespec *now, int notches)
{
	struct weston_pointer_axis_event event = {
		.axis = WL_POINTER_AXIS_VERTICAL_SCROLL,
		.value = -notches * NOTCH,
		.has_discrete = true,
		.discrete = -notches,
	};

	notify_axis_source(&hand->seat, WL_POINTER_AXIS_SOURCE_WHEEL);
	notify_axis(&hand->seat, now, &event);
	notify_pointer_frame(&hand->seat);
}

static int
record(void *data)
{
	struct hand *hand = data;
	struct weston_output *output = wl_container_of(hand->compositor->output_list.next, output, link);

	hand->recorder = weston_recorder_start(output, hand->path);
	if (!hand->recorder)
		wl_event_source_timer_update(hand->again, AGAIN_MS);
	return 0;
}

static bool
obey(struct hand *hand, const char *order)
{
	struct timespec now;
	unsigned code, down;
	double x, y;
	int notches;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (sscanf(order, "key %u %u", &code, &down) == 2) {
		notify_key(&hand->seat, &now, code,
			   down ? WL_KEYBOARD_KEY_STATE_PRESSED : WL_KEYBOARD_KEY_STATE_RELEASED,
			   STATE_UPDATE_AUTOMATIC);
	} else if (sscanf(order, "button %u %u", &code, &down) == 2) {
		notify_button(&hand->seat, &now, code,
			      down ? WL_POINTER_BUTTON_STATE_PRESSED : WL_POINTER_BUTTON_STATE_RELEASED);
		notify_pointer_frame(&hand->seat);
	} else if (sscanf(order, "move %lf %lf", &x, &y) == 2) {
		notify_motion_absolute(&hand->seat, &now, x, y);
		notify_pointer_frame(&hand->seat);
	} else if (sscanf(order, "wheel %d", &notches) == 1) {
		turn_wheel(hand, &now, notches);
	} else if (!hand->recorder && sscanf(order, "record %511s", hand->path) == 1) {
		record(hand);
	} else if (hand->recorder && strcmp(order, "stop\n") == 0) {
		weston_recorder_stop(hand->recorder);
		/* It ends with the next frame, for which something must have changed. */
		weston_compositor_damage_all(hand->compositor);
		hand->recorder = NULL;
	} else {
		return false;
	}
	return true;
}

static int
read_orders(int fd, uint32_t mask, void *data)
{
	struct hand *hand = data;
	char order[600];

	while (fgets(order, sizeof order, hand->orders)) {
		if (!obey(hand, order)) {
			weston_log("no order: %s\n", order);
			weston_compositor_exit_with_code(hand->compositor, EXIT_FAILURE);
		}
	}
	/* Nothing more for now: the FIFO stays open for the next writer. */
	clearerr(hand->orders);
	return 1;
}

__attribute__((visibility("default"))) int
wet_module_init(struct weston_compositor *compositor, int *argc, char *argv[])
{
	const char *path = getenv("TICKSCOPE_HAND");
	struct wl_event_loop *loop = wl_display_get_event_loop(compositor->wl_display);
	/* To read and write: so it never has an end while no test writes. */
	int fd = path ? open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
	struct hand *hand = calloc(1, sizeof *hand);

	if (fd < 0 || !hand)
		return -1;
	hand->compositor = compositor;
	hand->orders = fdopen(fd, "r");
	weston_seat_init(&hand->seat, compositor, "hand");
	if (weston_seat_init_pointer(&hand->seat) < 0 || weston_seat_init_keyboard(&hand->seat, NULL) < 0)
		return -1;
	hand->again = wl_event_loop_add_timer(loop, record, hand);
	wl_event_loop_add_fd(loop, fd, WL_EVENT_READABLE, read_orders, hand);
	return 0;
}
