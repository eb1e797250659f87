#pragma once
#include "rowfs/engine/store.h"
int changelog_install(struct store *store, const struct settings *settings, struct error *e);
int changelog_uninstall(struct store *store, const struct settings *settings, struct error *e);
int changelog_report(struct store *store, const struct settings *settings, struct buf *out, struct error *e);
