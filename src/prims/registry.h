// What lives here: the call that makes all primitives known by name; everything that builds graphs makes it first.
#pragma once

namespace keras::prims {
void register_all();
}
