/** A process that rehearses a recovery, to be killed: `node run-drill.ts REPOSITORY DIRECTORY`, the key in RETAKE_TEST_KEY (hexadecimal). */
import { openRetake } from '../../engine/open.ts'
import { runDrill } from '../run.ts'

const [repo = '', directory = ''] = process.argv.slice(2)
const bytes = new Uint8Array(Buffer.from(process.env.RETAKE_TEST_KEY ?? '', 'hex'))
await using retake = await openRetake({ repo, key: { kind: 'key', bytes } })
let phase = ''
const { drill } = await runDrill(retake, {
  at: 'latest',
  directory,
  deep: true,
  request: process.env.RETAKE_TEST_REQUEST,
  onProgress: (step) => {
    if (step.phase !== phase) process.stdout.write(`${step.phase}\n`)
    phase = step.phase
  },
}).result
process.stdout.write(`done ${drill.outcome}\n`)
