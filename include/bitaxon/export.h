// What the shared library exports.
#pragma once

/// Marks every function of the public headers, and every class that has functions. The shared
/// library hides functions and classes without the mark.
#define BX_API __attribute__((visibility("default")))

/// Marks the implementation class inside a class with the mark BX_API. The shared library hides it.
#define BX_HIDDEN __attribute__((visibility("hidden")))
