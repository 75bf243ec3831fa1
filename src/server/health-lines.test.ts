import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bad, reportOf, type World } from '../monitor/alerts/testing/reports.ts'
import { healthLines } from './health-lines.ts'

test('each cluster has a line when its health has changed, with the worst that is wrong and its fix', () => {
  const lines: string[] = []
  const say = healthLines((line) => lines.push(line))
  let minute = 0
  const look = (world: World, cluster = 'main') => {
    minute += 1
    const verdict = Object.keys(world).length > 0 ? 'endangered' : 'ok'
    say({ ...reportOf(world, new Date(Date.UTC(2026, 10, 23, 0, minute))), verdict, cluster })
  }
  look({})
  look({})
  look({}, 'other')
  look({ repository: bad })
  look({ repository: bad })
  look({ repository: bad, server: 'unknown' })
  look({})
  assert.equal(lines.length, 5, lines.join('\n'))
  const [first = '', other = '', broken = '', more = '', last] = lines
  assert.match(first, /^main: /)
  assert.doesNotMatch(first, /Fix:|more/)
  assert.equal(other, first.replace('main', 'other'))
  assert.match(broken, /^main: ENDANGERED \(.*\)\. .+: .+ Fix: Correct it\./)
  assert.match(more, /^main: ENDANGERED .* And \d+ more \(retake health\)\. Fix: Correct it\.$/)
  assert.equal(last, first)
})
