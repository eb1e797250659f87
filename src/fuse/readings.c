#include "readings.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rowfs/base/clock.h"

enum { READINGS = 8 };

struct reading {
	struct node *node; /* held; NULL: free */
	struct text *text;
	int64_t used_us;
};

struct readings {
	pthread_mutex_t lock;
	struct nodes *nodes;
	struct reading at[READINGS];
};

static void end_reading(struct nodes *nodes, struct reading *reading)
{
	if (reading->node)
		nodes_release(nodes, reading->node);
	text_unref(reading->text);
}

/* The place of this node, or without one that which was used longest ago; with the lock held. */
static struct reading *place_of(struct readings *readings, const struct node *node)
{
	struct reading *place = readings->at;

	for (int i = 0; i < READINGS; i++) {
		if (readings->at[i].node == node)
			return &readings->at[i];
		if (readings->at[i].used_us < place->used_us)
			place = &readings->at[i];
	}
	return place;
}

struct text *readings_find(struct readings *readings, const struct node *node)
{
	struct reading *place;
	struct text *text = NULL;

	pthread_mutex_lock(&readings->lock);
	place = place_of(readings, node);
	if (place->node == node) {
		place->used_us = clock_monotonic_us();
		text = text_ref(place->text);
	}
	pthread_mutex_unlock(&readings->lock);
	return text;
}

void readings_set(struct readings *readings, struct node *node, struct text *text)
{
	struct reading *place, before = {0};

	if (text)
		nodes_hold(readings->nodes, node);
	pthread_mutex_lock(&readings->lock);
	place = place_of(readings, node);
	if (text || place->node == node) {
		before = *place;
		*place = (struct reading){0};
	}
	if (text)
		*place = (struct reading){node, text_ref(text), clock_monotonic_us()};
	pthread_mutex_unlock(&readings->lock);
	end_reading(readings->nodes, &before);
}

static void shed(void *arg)
{
	struct readings *readings = arg;
	struct reading all[READINGS];

	pthread_mutex_lock(&readings->lock);
	memcpy(all, readings->at, sizeof all);
	memset(readings->at, 0, sizeof readings->at);
	pthread_mutex_unlock(&readings->lock);
	for (int i = 0; i < READINGS; i++)
		end_reading(readings->nodes, &all[i]);
}

int readings_new(struct nodes *nodes, struct readings **ret)
{
	struct readings *readings = calloc(1, sizeof *readings);

	if (!readings)
		return -ENOMEM;
	pthread_mutex_init(&readings->lock, NULL);
	readings->nodes = nodes;
	text_add_shed(shed, readings);
	*ret = readings;
	return 0;
}

void readings_free(struct readings *readings)
{
	if (!readings)
		return;
	text_remove_shed(readings);
	shed(readings);
	pthread_mutex_destroy(&readings->lock);
	free(readings);
}
