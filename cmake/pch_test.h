// What lives here: what the tests include on top of the library's precompiled headers. Nothing of the project.
#pragma once
#include "pch.h"

#include <gtest/gtest.h>
