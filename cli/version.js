/** The same as in src/membuddy.h and package.json (test/cli-words.once.test.js). */
export const version = "1.0.0";
