/** A process that applies a plan, to be killed: `node apply-plan.ts PLAN.json`, the key in RETAKE_TEST_KEY (hexadecimal). */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { openRepository } from '../../repository/repository.ts'
import { applyRestore } from '../apply.ts'
import { readPlan } from '../plan-types.ts'

const [file = ''] = process.argv.slice(2)
const { url, plan } = JSON.parse(readFileSync(file, 'utf8')) as { url: string; plan: unknown }
const bytes = new Uint8Array(Buffer.from(process.env.RETAKE_TEST_KEY ?? '', 'hex'))
await using repository = await openRepository(url, { kind: 'key', bytes })
const parsed = readPlan(plan)
await applyRestore({
  cluster: await repository.openCluster(parsed.cluster.name),
  plan: parsed,
  confirm: path.basename(parsed.place.targetDirectory),
  workers: 0,
  onProgress: ({ phase }) => process.stdout.write(`${phase}\n`),
})
process.stdout.write('done\n')
