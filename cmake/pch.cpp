// What lives here: nothing; a precompiled header needs one source file to belong to.
