// What lives here: every public header of the library, for users. Written by tools/make_umbrella; not to be edited.
#pragma once
#include <keras/base/dtype.h>
#include <keras/base/error.h>
#include <keras/base/shape.h>
#include <keras/base/value.h>
