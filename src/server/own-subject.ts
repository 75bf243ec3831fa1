/** The server itself, among the names of clusters: what it is on duty for, what alerts are about. No cluster may have this name. */
export const SERVER_SUBJECT = 'retake-server'
