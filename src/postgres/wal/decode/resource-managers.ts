/** Whose record it is (src/include/access/rmgrlist.h; the same list from 15 to 18). Extensions have the numbers from 128 on. */
export const RMGR = {
  log: 0,
  transaction: 1,
  storage: 2,
  database: 4,
  tablespace: 5,
  relationMap: 7,
  standby: 8,
  heap2: 9,
  heap: 10,
  sequence: 15,
  logicalMessage: 21,
} as const

/** By number, as `pg_waldump` prints them. */
const NAMES: readonly string[] = [
  'XLOG',
  'Transaction',
  'Storage',
  'CLOG',
  'Database',
  'Tablespace',
  'MultiXact',
  'RelMap',
  'Standby',
  'Heap2',
  'Heap',
  'Btree',
  'Hash',
  'Gin',
  'Gist',
  'Sequence',
  'SPGist',
  'BRIN',
  'CommitTs',
  'ReplicationOrigin',
  'Generic',
  'LogicalMessage',
]

/** Of an extension it is the number, because its name is known only to the server that has loaded it. */
export function resourceManagerName(rmgr: number): string {
  return NAMES[rmgr] ?? `custom${rmgr.toString().padStart(3, '0')}`
}
