// Boost.JSON as source, once: nothing of the system's has to be linked, and a program that has both
// the daemon's and quirectl's parts has it once.
#include <boost/json/src.hpp>
