import { statfs } from 'node:fs/promises'

/** `f_type` of statfs(2) on Linux. Through such a file system a path may show what another machine wrote, seconds late. */
const NETWORK_TYPES: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x517b, 'SMB'],
  [0x65735546, 'FUSE'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x0bd00bd0, 'Lustre'],
])

/** The name of the network file system that holds `path`; undefined when it is not on one that is known here. */
export async function networkFileSystemOf(path: string): Promise<string | undefined> {
  const { type } = await statfs(path)
  return process.platform === 'linux' ? NETWORK_TYPES.get(type >>> 0) : undefined
}
