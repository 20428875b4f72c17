// What lives here: a look over a saved configuration, class by class, before anything is made of it.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include <keras/saving/inspect.h>

#include "saving/legacy_config.h"

namespace keras::saving {

/// Every layer of the saved model (in the words of Keras 3), and of the objects inside of them those that can't be made. `notes` says
/// what was brought into other words.
std::vector<ClassFinding> check_config(const Value& saved, const Translations& notes = {});
/// The optimizer, losses and metrics that can't be made.
std::vector<ClassFinding> check_compile_config(const Value& config, const Translations& notes = {});

/// One finding as a sentence with the line that helps.
std::string sentence(const ClassFinding& finding);

/// Runs `make`; where it fails and more than one part of the configuration is at fault, the error lists them all.
void make_or_list(const Value& saved, const std::string& where, const std::function<void()>& make);

}  // namespace keras::saving
