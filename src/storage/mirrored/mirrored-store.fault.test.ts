import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sleep } from '../../base/abort.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { createRecord, IDENTITY_KEY, readNewestRecord } from './copy-record.ts'
import { contentOf, type LabPlace, openMirroredLab } from './testing/mirrored-lab.ts'

const bytes = (text: string) => Buffer.from(text)
const text = (found: Uint8Array | undefined) => found && Buffer.from(found).toString()
const failed = new RetakeError('storage.failed', 'as planned')

async function currentOf(place: LabPlace | undefined): Promise<readonly string[] | undefined> {
  return place && (await readNewestRecord(place.memory))?.record.current
}

describe('a place that fails', () => {
  for (const [point, write] of [
    ['create', 'create'],
    ['openWriter', 'stream'],
    ['write', 'stream'],
    ['commit', 'stream'],
    ['replace', 'replace'],
    ['openAppender', 'append'],
    ['append', 'append'],
    ['sync', 'append'],
  ] as const) {
    for (const index of [0, 1]) {
      test(`${index === 0 ? 'the primary' : 'a mirror'} at ${point}: the write is in the other, and recorded as missed before it resolves`, async () => {
        await using lab = await openMirroredLab()
        const { store, places } = lab
        places[index]?.faulty.plan(point, { matching: (key) => key === 'late/x' || key === 'x', error: failed })
        const key = write === 'replace' ? 'late/x' : 'x'
        if (write === 'create') assert.equal(await store.create(key, bytes('kept')), true)
        if (write === 'replace') await store.replace(key, bytes('kept'))
        if (write === 'stream') {
          await using writer = await store.openWriter(key)
          await writer.write(bytes('kept'))
          assert.equal(await writer.commit(), true)
        }
        if (write === 'append') {
          await using appender = await store.openAppender?.(key)
          await appender?.append(bytes('kept'))
          await appender?.sync()
        }
        places[index]?.faulty.assertAllHit()
        const other = places[1 - index]
        assert.equal(text(await other?.memory.get(key)), 'kept')
        assert.deepEqual(await currentOf(other), [other?.name])
        assert.equal(lab.events.filter(({ kind }) => kind === 'dropped').length, 1)
        assert.equal(text(await store.get(key)), 'kept')
      })
    }
  }

  test('a failure after the object was made leaves the same bytes everywhere', async () => {
    await using lab = await openMirroredLab()
    const [origin, north] = lab.places
    origin?.faulty.plan('create', { matching: (key) => key === 'x', errorAfter: failed })
    assert.equal(await lab.store.create('x', bytes('kept')), true)
    assert.deepEqual(await contentOf(origin!.memory), await contentOf(north!.memory))
    assert.deepEqual(await currentOf(north), ['north'])
  })

  test('the last copy is never given up: the write fails, and works again when the place is back', async () => {
    await using lab = await openMirroredLab()
    const [origin, north] = lab.places
    for (const place of lab.places) place.gate.state = 'down'
    await assert.rejects(lab.store.create('x', bytes('x')), (error) => isRetakeError(error, 'storage.failed'))
    for (const place of lab.places) place.gate.state = 'up'
    assert.equal(await lab.store.create('y', bytes('y')), true)
    const kept = [origin, north].filter((place) => place !== undefined)
    const holding = await Promise.all(kept.map(async ({ memory }) => (await memory.head('y')) !== undefined))
    assert(holding.includes(true))
    for (const [index, place] of kept.entries()) {
      if (holding[index]) assert((await currentOf(place))?.includes(place.name))
    }
  })

  test('two threads never give up each other’s last copy', async () => {
    await using lab = await openMirroredLab()
    const [origin, north] = lab.places
    const { openMirrored } = await import('./mirrored-store.ts')
    const seeing = (place: LabPlace | undefined) =>
      openMirrored(lab.address, {
        open: async (url) => {
          if (url === place?.url) return place.memory
          throw new RetakeError('storage.failed', `${url} cannot be reached from this thread`)
        },
      })
    await using left = await seeing(origin)
    await using right = await seeing(north)
    const outcomes = await Promise.allSettled([left.create('l', bytes('l')), right.create('r', bytes('r'))])
    const done = outcomes.filter(({ status }) => status === 'fulfilled')
    assert(done.length <= 1, 'each of them went on alone')
  })

  test('a hanging place costs its time limit once', async () => {
    await using lab = await openMirroredLab({ limits: { askMs: 200, moveMs: 200 } })
    const [origin] = lab.places
    await lab.store.create('x', bytes('x'))
    if (origin) origin.gate.state = 'hanging'
    for (let count = 0; count < 20; count++) assert.equal(text(await lab.store.get('x')), 'x')
    assert.equal(origin?.gate.refused, 1)
    for (let count = 0; count < 20; count++) await lab.store.create(`y${count}`, bytes('y'))
    assert((origin?.gate.refused ?? 99) <= 4, `it was asked ${origin?.gate.refused} times`)
  })
})

describe('a new generation', () => {
  test('is waited for by whoever comes while it is being announced: no copy is taken for one that lost something', async () => {
    await using lab = await openMirroredLab({ names: ['origin', 'north', 'south'] })
    const [, north, south] = lab.places
    if (south) south.gate.state = 'down'
    let newcomer: Promise<boolean> | undefined
    north?.faulty.plan('create', {
      matching: (key) => key.startsWith('copies/generations/'),
      // The origin has the new record, and north does not.
      before: async () => {
        newcomer = lab.reopen().then((store) => store.create('y', bytes('y')))
        await sleep(300)
      },
    })
    assert.equal(await lab.store.create('x', bytes('x')), true)
    north?.faulty.assertAllHit()
    assert.equal(await newcomer, true)
    for (const key of ['x', 'y']) assert.notEqual(await north?.memory.head(key), undefined, key)
    assert.deepEqual(await currentOf(north), ['origin', 'north'])
    assert.deepEqual(
      new Set(lab.events.filter(({ kind }) => kind === 'dropped').map(({ copy }) => copy)),
      new Set(['south']),
    )
  })

  test('that never reaches a copy it names is not waited for without end: the copy is then recorded as stale', async () => {
    await using lab = await openMirroredLab()
    const [origin, north] = lab.places
    const known = origin && (await readNewestRecord(origin.memory))?.record
    assert(origin && known)
    // Whoever announced it ended after the first copy.
    await createRecord(origin.memory, { ...known, generation: 2 })
    const store = await lab.reopen()
    assert.equal(await store.create('x', bytes('x')), true)
    assert.deepEqual(await currentOf(origin), ['origin'])
    assert.equal(await north?.memory.head('x'), undefined)
  })
})

describe('how many copies a write needs', () => {
  test('all: it waits for every copy, and goes on when the copy is back and has caught up', async () => {
    await using lab = await openMirroredLab({ mirrorSync: 'all' })
    const [, north] = lab.places
    if (north) north.gate.state = 'down'
    await assert.rejects(lab.store.create('x', bytes('x')), (error) => isRetakeError(error, 'storage.failed'))
    await assert.rejects(lab.store.create('y', bytes('y')), (error) => isRetakeError(error, 'storage.failed'))
  })

  test('quorum: two of three are enough, one is not', async () => {
    await using lab = await openMirroredLab({ names: ['origin', 'north', 'south'], mirrorSync: 'quorum' })
    const [origin, north] = lab.places
    if (origin) origin.gate.state = 'down'
    assert.equal(await lab.store.create('x', bytes('x')), true)
    if (north) north.gate.state = 'down'
    await assert.rejects(lab.store.create('y', bytes('y')), (error) => isRetakeError(error, 'storage.failed'))
  })

  test('primary: the others are left to follow, and a primary that is down is not replaced by itself', async () => {
    await using lab = await openMirroredLab({ mirrorSync: 'primary' })
    const [origin, north] = lab.places
    await lab.store.create('x', bytes('x'))
    assert.equal(await north?.memory.head('x'), undefined)
    assert.deepEqual(await currentOf(origin), ['origin'])
    if (origin) origin.gate.state = 'down'
    await assert.rejects(lab.store.create('y', bytes('y')), (error) => isRetakeError(error, 'storage.failed'))
    if (origin) origin.gate.state = 'up'
    assert.equal(await lab.store.create('y', bytes('y')), true)
  })
})

describe('deleting', () => {
  test('is refused while a copy is away, which would bring it back', async () => {
    await using lab = await openMirroredLab()
    const [, north] = lab.places
    await lab.store.create('x', bytes('x'))
    if (north) north.gate.state = 'down'
    await assert.rejects(lab.store.delete('x'), (error) => isRetakeError(error, 'storage.failed'))
    await lab.store.create('y', bytes('y'))
    if (north) north.gate.state = 'up'
    await assert.rejects(lab.store.delete('x'), /north/)
    assert.equal(text(await lab.store.get('x')), 'x')
    assert.equal(await lab.store.delete('x', { copies: 'reachable' }), true)
  })
})

describe('a place that is not the repository any more', () => {
  test('emptied: neither believed nor filled', async () => {
    await using lab = await openMirroredLab()
    const [origin, north] = lab.places
    await lab.store.create('x', bytes('x'))
    for (const { key } of await Array.fromAsync(origin!.memory.list(''))) await origin?.memory.delete(key)
    assert.equal(text(await lab.store.get('x')), 'x')
    assert.deepEqual(
      (await Array.fromAsync(lab.store.list('x'))).map(({ key }) => key),
      ['x'],
    )
    await lab.store.create('y', bytes('y'))
    assert.deepEqual(await currentOf(north), ['north'])
    await using again = await lab.reopen()
    await again.create('z', bytes('z'))
    assert.equal(await origin?.memory.head('z'), undefined)
    assert.equal(await origin?.memory.head(IDENTITY_KEY), undefined)
  })

  test('another repository: left alone', async () => {
    await using lab = await openMirroredLab()
    const [, north] = lab.places
    await north?.memory.replace(IDENTITY_KEY, bytes('{"repositoryId":"other"}'))
    await using again = await lab.reopen()
    await again.create('x', bytes('x'))
    assert.equal(await north?.memory.head('x'), undefined)
  })
})

describe('several processes', () => {
  test('what one has recorded as missed, the other does not write to any more', async () => {
    await using lab = await openMirroredLab()
    const [, north] = lab.places
    const other = await lab.reopen()
    north?.faulty.plan('create', { matching: (key) => key === 'pack', error: failed })
    await lab.store.create('pack', bytes('pack'))
    await other.create('late/manifest', bytes('refers to the pack'))
    assert.equal(await north?.memory.head('late/manifest'), undefined)
  })

  test('with the primary away, another copy is written and read; the old primary is not until it has caught up', async () => {
    await using lab = await openMirroredLab()
    const [origin, north] = lab.places
    await lab.store.create('x', bytes('x'))
    if (origin) origin.gate.state = 'down'
    const other = await lab.reopen()
    assert.equal(text(await other.get('x')), 'x')
    await other.create('y', bytes('y'))
    if (origin) origin.gate.state = 'up'
    const third = await lab.reopen()
    assert.equal(text(await third.get('y')), 'y')
    await third.create('z', bytes('z'))
    assert.equal(await origin?.memory.head('z'), undefined)
    assert.equal(text(await north?.memory.get('z')), 'z')
    // The first process, which has not noticed anything, notices at its next write.
    await lab.store.create('w', bytes('w'))
    assert.equal(text(await north?.memory.get('w')), 'w')
  })

  test('both halves of a broken network go on alone; together again, one record counts and nobody is believed wrongly', async () => {
    await using lab = await openMirroredLab()
    const [origin, north] = lab.places
    const other = await lab.reopen()
    if (north) north.gate.state = 'down'
    await lab.store.create('left', bytes('l'))
    if (north) north.gate.state = 'up'
    if (origin) origin.gate.state = 'down'
    await other.create('right', bytes('r'))
    if (origin) origin.gate.state = 'up'
    const third = await lab.reopen()
    assert.equal(third.copies.current().length, 1)
  })
})

describe('changes of the record beside a writer', () => {
  test('a copy that joins cannot take up an object in the middle: it ends, and nothing that speaks of it is in that copy', async () => {
    await using lab = await openMirroredLab({ current: ['origin'] })
    const [, north] = lab.places
    await using appender = await lab.store.openAppender?.('tail')
    await appender?.append(bytes('one'))
    await appender?.sync()
    const other = await lab.reopen()
    await other.copies.announce(() => ({ current: ['origin', 'north'], reason: 'test' }))
    await lab.store.replace('late/position', bytes('speaks of the tail'))
    assert.equal(await north?.memory.head('late/position'), undefined)
    await appender?.append(bytes('two'))
    await assert.rejects(appender?.sync() ?? Promise.resolve(), /begun anew/)
    await appender?.[Symbol.asyncDispose]()
    await lab.store.replace('late/position', bytes('speaks of what is everywhere'))
    assert.equal(text(await north?.memory.get('late/position')), 'speaks of what is everywhere')
  })

  test('when none of the copies that it knows counts any more, a process writes nothing more; a new one does', async () => {
    await using lab = await openMirroredLab({ current: ['origin'] })
    const [origin, north] = lab.places
    await lab.store.create('x', bytes('x'))
    const other = await lab.reopen()
    await other.copies.announce(() => ({ primary: 'north', current: ['north'], reason: 'test' }))
    await assert.rejects(lab.store.create('late/y', bytes('refers to x')), /begin anew/)
    await assert.rejects(lab.store.create('z', bytes('z')), /begin anew/)
    assert.equal(await north?.memory.head('late/y'), undefined)
    assert.equal(await origin?.memory.head('z'), undefined)
    const third = await lab.reopen()
    assert.equal(await third.create('z', bytes('z')), true)
    assert.equal(text(await north?.memory.get('z')), 'z')
  })
})
