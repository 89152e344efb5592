//! Tests of the whole: the real program, a real folder, real models, over HTTP and the command line.

mod accounts;
mod backup;
mod command_line;
mod crash;
mod dependencies;
mod publishing;
mod simulations;
