/** Set by the test command for the files of a run: `endpoint access-key secret-key`, or `none: reason`. */
export const SERVER_VARIABLE = 'RETAKE_TEST_S3'
