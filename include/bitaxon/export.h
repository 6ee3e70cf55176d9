// What the shared library exports.
#pragma once

/// Marks every function of the public headers, and every class that has functions. Without the mark,
/// the shared library hides them.
#define BX_API __attribute__((visibility("default")))

/// Marks the hidden part of such a class.
#define BX_HIDDEN __attribute__((visibility("hidden")))
