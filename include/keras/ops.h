// What lives here: all of keras::ops.
#pragma once
#include <keras/ops/core.h>
#include <keras/ops/image.h>
#include <keras/ops/linalg.h>
#include <keras/ops/math.h>
#include <keras/ops/nn.h>
#include <keras/ops/numpy.h>
#include <keras/ops/operators.h>
