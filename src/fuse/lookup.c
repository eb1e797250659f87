#include <errno.h>
#include <string.h>

#include "mount.h"
#include "report.h"
#include "rowfs/base/counters.h"

static void reply_directory(struct mount *mount, fuse_req_t req, struct node *parent, const char *name,
			    enum node_kind kind, uint32_t relation)
{
	struct node *node = nodes_get(mount->nodes, parent, name, kind, relation,
				      ino_of_name(relation, name));
	struct stat attr;

	if (!node) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	attr_directory(mount, node, &attr);
	/* What becomes of schemas and tables, the catalog's poll sees. */
	reply_entry(mount, req, node, &attr, mount_belief(mount), NULL);
}

static void lookup_table(struct mount *mount, fuse_req_t req, struct node *parent, const char *name,
			 const struct space *space)
{
	const struct relation *relation = space ? space_relation(space, name) : NULL;

	if (relation)
		reply_directory(mount, req, parent, name, NODE_TABLE, relation->oid);
	else
		fuse_reply_err(req, ENOENT);
}

static void lookup_root(struct mount *mount, fuse_req_t req, struct node *parent, const char *name)
{
	const char *shown = mount->engine.settings->schema;
	_cleanup_schema_ struct schema *schema = catalog_get(mount->engine.catalog);

	if (strcmp(name, REPORT_DIRECTORY) == 0)
		reply_directory(mount, req, parent, name, NODE_CONTROL, 0);
	else if (shown)
		lookup_table(mount, req, parent, name, schema->n_spaces ? &schema->spaces[0] : NULL);
	else if (schema_space(schema, name))
		reply_directory(mount, req, parent, name, NODE_SPACE, 0);
	else
		fuse_reply_err(req, ENOENT);
}

/* A row that no file can hold is there all the same, and can be removed: the name has a node, whose attributes are
 * refused to whoever asks. */
static void lookup_too_large(struct call *call)
{
	struct mount *mount = call->mount;
	uint64_t ino = ino_of_name(call->relation, call->name);
	struct version none = version_of("", 0, NULL);
	struct look look = {.began_us = INT64_MAX};
	enum belief belief;
	struct node *node;
	struct stat attr;

	node = nodes_get_row(mount->nodes, call->node, call->name, call->relation, ino, &none, NULL, &look,
			     &belief);
	if (!node) {
		call_error(call, -ENOMEM);
		return;
	}
	nodes_spoil(mount->nodes, node); /* no size is right */
	attr_row(mount, call->ref.relation, ino, &none, &attr);
	reply_entry(mount, call->req, node, &attr, BELIEVE_NOT, NULL);
	call_free(call);
}

static void lookup_row_done(struct call *call, struct text *text, const struct error *e)
{
	struct mount *mount = call->mount;
	uint64_t ino = ino_of_name(call->relation, call->name);
	struct look look = call_look(call, text && text->copied);
	struct node *node;
	struct stat attr;
	enum belief belief;

	if (!text && e->err == EFBIG) {
		lookup_too_large(call);
		return;
	}
	if (!text) {
		call_fail(call, CALL_LOOKUP, e);
		return;
	}
	node = nodes_get_row(mount->nodes, call->node, call->name, call->relation, ino,
			     &text->version, text->bare ? NULL : text, &look, &belief);
	if (!node) {
		call_error(call, -ENOMEM);
		return;
	}
	attr_row(mount, call->ref.relation, ino, &text->version, &attr);
	reply_entry(mount, call->req, node, &attr, belief, &look);
	call_free(call);
}

/* Empty, until its content is committed; what a handle holds is for the handle to see, on a node of its
 * own. */
static void lookup_pending(struct mount *mount, fuse_req_t req, struct node *parent, const char *name)
{
	_cleanup_schema_ struct schema *schema = catalog_get(mount->engine.catalog);
	const struct relation *relation = schema_relation(schema, parent->relation);
	uint64_t ino = ino_of_name(parent->relation, name);
	struct version empty = version_of("", 0, NULL);
	struct look look = {.began_us = INT64_MAX};
	struct node *node;
	struct stat attr;
	enum belief belief;

	node = relation ? nodes_get_row(mount->nodes, parent, name, parent->relation, ino, &empty, NULL,
					&look, &belief) :
			  NULL;
	if (!node) {
		fuse_reply_err(req, relation ? ENOMEM : ENOENT);
		return;
	}
	attr_row(mount, relation, ino, &empty, &attr);
	reply_pending(mount, req, node, &attr);
}

static bool is_edited(struct mount *mount, struct node *parent, const char *name)
{
	struct backing *editing = files_editing(mount, parent->relation, name);

	backing_unref(editing);
	return editing != NULL;
}

/* An empty file that somebody made with touch must not hide a row that came into being since. */
static void lookup_pending_done(struct call *call, struct text *text, const struct error *e)
{
	struct mount *mount = call->mount;

	if (text) {
		names_event(mount->engine.names, call->relation, call->name, NAME_COMMITTED, NULL);
		lookup_row_done(call, text, e);
		return;
	}
	lookup_pending(mount, call->req, call->node, call->name);
	call_free(call);
}

/* The row is what its node was told; nobody needs to be asked. */
static bool lookup_known(struct mount *mount, fuse_req_t req, struct node *parent, const char *name)
{
	_cleanup_schema_ struct schema *schema = catalog_get(mount->engine.catalog);
	const struct relation *relation = schema_relation(schema, parent->relation);
	struct version version;
	struct node *node = NULL;
	enum belief belief;
	struct stat attr;

	if (relation && follow_live(mount->engine.follow))
		node = nodes_get_known(mount->nodes, parent, name, ino_of_name(parent->relation, name),
				       fuse_req_ctx(req)->pid, &version, &belief);
	if (!node)
		return false;
	count(memory_lookups);
	attr_row(mount, relation, node->ino, &version, &attr);
	reply_entry(mount, req, node, &attr, belief, NULL);
	return true;
}

static void lookup_row(struct mount *mount, fuse_req_t req, struct node *parent, const char *name)
{
	enum name_state state = names_state(mount->engine.names, parent->relation, name, NULL);
	struct call *call;
	int r;

	if (name_is_hidden(state)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	if (name_is_empty(state) && (state != NAME_PENDING || is_edited(mount, parent, name))) {
		lookup_pending(mount, req, parent, name);
		return;
	}
	if (state == NAME_PLAIN && lookup_known(mount, req, parent, name))
		return;
	call = call_new(req, parent, name);
	if (!call)
		return;
	/* Who was sent back gets the text that his OPEN is answered with, however often the row changes. */
	call->read.version_only = !nodes_need_text(mount->nodes, parent, name, ino_of_name(parent->relation, name),
						   call->asker.pid);
	r = rowref_of_name(mount->engine.catalog, parent->relation, name, &call->ref, NULL);
	if (r < 0)
		call_error(call, r == -ENOMEM ? r : -ENOENT);
	else if (state == NAME_PENDING)
		call_read(call, lookup_pending_done);
	else
		call_read(call, lookup_row_done);
}

static void lookup_scratch(struct mount *mount, fuse_req_t req, struct node *parent, const char *name)
{
	struct stat attr;
	int r;
	struct node *node = spool_node(mount, parent, name, &r);

	if (!node) {
		fuse_reply_err(req, -r);
		return;
	}
	r = attr_scratch(mount, node, &attr);
	if (r < 0) {
		nodes_forget(mount->nodes, node, 1);
		fuse_reply_err(req, -r);
		return;
	}
	/* What stands beside a refused text is written anew when it is refused again. */
	reply_entry(mount, req, node, &attr, parent->kind == NODE_KEPT ? BELIEVE_NOT : BELIEVE_SHORTLY, NULL);
}

static void lookup_kept(struct mount *mount, fuse_req_t req, struct node *parent, enum kept_place place)
{
	const char *name = kept_place_name(place);
	struct node *node = nodes_get(mount->nodes, parent, name, NODE_KEPT, 0, ino_of_name(0, name));
	struct stat attr;

	if (!node) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	node->more->kept_dir = refusals_kept(mount->engine.refusals, place);
	attr_directory(mount, node, &attr);
	reply_entry(mount, req, node, &attr, BELIEVE_SHORTLY, NULL);
}

static void lookup_report(struct mount *mount, fuse_req_t req, struct node *parent, const char *name)
{
	const struct report *report = report_find(name);
	struct node *node;
	struct stat attr;

	node = report ? nodes_get(mount->nodes, parent, name, NODE_REPORT, 0, ino_of_name(0, name)) : NULL;
	if (!node) {
		fuse_reply_err(req, report ? ENOMEM : ENOENT);
		return;
	}
	node->more->report = report;
	attr_report(mount, node, &attr);
	reply_entry(mount, req, node, &attr, BELIEVE_SHORTLY, NULL);
}

static void lookup_control(struct mount *mount, fuse_req_t req, struct node *parent, const char *name)
{
	for (enum kept_place place = 0; place < KEPT_PLACES; place++)
		if (strcmp(name, kept_place_name(place)) == 0) {
			lookup_kept(mount, req, parent, place);
			return;
		}
	lookup_report(mount, req, parent, name);
}

static void lookup_new(struct mount *mount, fuse_req_t req, struct node *parent, const char *name)
{
	struct node *node = nodes_get(mount->nodes, parent, name, NODE_NEW, parent->relation,
				      ino_of_name(parent->relation, name));
	struct stat attr;

	if (!node) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	attr_report(mount, node, &attr);
	reply_entry(mount, req, node, &attr, BELIEVE_SHORTLY, NULL);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *mount = mount_of(req);
	struct node *node = node_of(mount, parent);
	_cleanup_schema_ struct schema *schema = NULL;

	switch (node->kind) {
	case NODE_ROOT:
		lookup_root(mount, req, node, name);
		break;
	case NODE_SPACE:
		schema = catalog_get(mount->engine.catalog);
		lookup_table(mount, req, node, name, schema_space(schema, node_name(node)));
		break;
	case NODE_TABLE:
		if (strcmp(name, REPORT_NEW_ROW) == 0)
			lookup_new(mount, req, node, name);
		else if (is_scratch_name(mount, node, name))
			lookup_scratch(mount, req, node, name);
		else
			lookup_row(mount, req, node, name);
		break;
	case NODE_SCRATCH:
	case NODE_KEPT:
		lookup_scratch(mount, req, node, name);
		break;
	case NODE_CONTROL:
		lookup_control(mount, req, node, name);
		break;
	default:
		fuse_reply_err(req, ENOTDIR);
	}
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	struct mount *mount = mount_of(req);

	if (ino != FUSE_ROOT_ID)
		nodes_forget(mount->nodes, node_of(mount, ino), nlookup);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct mount *mount = mount_of(req);

	for (size_t i = 0; i < count; i++)
		if (forgets[i].ino != FUSE_ROOT_ID)
			nodes_forget(mount->nodes, node_of(mount, forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(req);
}
