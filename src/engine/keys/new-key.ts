/** Where the key of a new holder comes from: made here and written to a file, or somewhere that has it already. */
import { readFile, unlink } from 'node:fs/promises'
import { resolve } from 'node:path'
import { RetakeError } from '../../base/errors.ts'
import type { HolderKind } from '../../repository/keys/holder-file.ts'
import { generateKey, type KeyMaterial } from '../../repository/keys/key-material.ts'
import { formatKeyText, parseKeyText } from '../../repository/keys/key-text.ts'
import { renderRecoveryKit } from '../../repository/keys/recovery-kit.ts'
import type { Repository } from '../../repository/repository.ts'
import { loadKey } from '../key-source.ts'
import { writeNewSecretFile } from '../new-file.ts'
import { otherPlaces, type RetakeSettings } from '../open.ts'
import { openAwsKms } from './aws-kms.ts'

export type NewKeySource =
  /** Make a key, and write it to this file, which must not exist. Done again, the file's key is taken if it already opens the repository. */
  | { readonly kind: 'new-file'; readonly file: string }
  /** A key file, or a recovery kit, that exists. */
  | { readonly kind: 'file'; readonly file: string }
  /** The text of a key, from wherever. */
  | { readonly kind: 'text'; readonly text: string }
  /** A shell command that prints the text of a key. */
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'passphrase'; readonly text: string }
  /** Make a key, and write it with instructions to this file, which must not exist. */
  | { readonly kind: 'recovery-kit'; readonly file: string }
  /** A key in AWS KMS: ARN, id or alias. */
  | { readonly kind: 'kms'; readonly keyId: string }

export interface NewKey {
  readonly key: KeyMaterial
  readonly kind: HolderKind
  /** For people, when none was given. */
  readonly label: string
  /** The file that was written or found. */
  readonly file?: string | undefined
  /** False for a file that was there: the same command may have been cut short. */
  readonly isNew: boolean
  /** Takes back what was written, when the key came to nothing. */
  discard(): Promise<void>
}

/** Fewer characters are guessed by a machine that has the holder file. */
const SHORTEST_PASSPHRASE = 12

/** @throws RetakeError `config.invalid`, `key.missing`, `key.malformed`, `key.refused` for a passphrase that is too short */
export async function prepareNewKey(
  repository: Repository,
  source: NewKeySource,
  options: { readonly settings: RetakeSettings; readonly signal?: AbortSignal | undefined },
): Promise<NewKey> {
  const { settings, signal } = options
  const given = (key: KeyMaterial, kind: HolderKind, label: string): NewKey => ({
    key,
    kind,
    label,
    isNew: true,
    discard: async () => {},
  })
  switch (source.kind) {
    case 'text':
      return given(parseKeyText(source.text), 'key', 'key')
    case 'file':
    case 'command': {
      const config = source.kind === 'file' ? { keyFile: source.file } : { keyCommand: source.command }
      const { directory, logger } = settings
      return given(
        await loadKey({ config, directory, logger, signal }),
        'key',
        source.kind === 'file' ? 'key file' : 'key command',
      )
    }
    case 'passphrase':
      if (source.text.length < SHORTEST_PASSPHRASE) throw tooShort()
      return given({ kind: 'passphrase', text: source.text }, 'passphrase', 'passphrase')
    case 'kms':
      return given({ kind: 'kms', service: openAwsKms(source.keyId, { signal }) }, 'kms', source.keyId)
    case 'new-file':
    case 'recovery-kit':
      return await makeKey(repository, source, settings)
  }
}

async function makeKey(
  repository: Repository,
  source: NewKeySource & { readonly kind: 'new-file' | 'recovery-kit' },
  settings: RetakeSettings,
): Promise<NewKey> {
  const file = resolve(settings.directory, source.file)
  const [kind, label] =
    source.kind === 'new-file' ? (['key', 'key file'] as const) : (['recovery-kit', 'recovery kit'] as const)
  const again = await keyInFile(file)
  // The same command after it was cut short: its file is there. Whether its key is a holder is for the caller to see.
  if (again) return { key: again, kind, label, file, isNew: false, discard: async () => {} }
  const key = generateKey()
  const text =
    source.kind === 'new-file'
      ? `${formatKeyText(key.bytes)}\n`
      : renderRecoveryKit({
          repositoryId: repository.id,
          url: repository.url,
          alsoAt: otherPlaces(settings),
          createdAt: settings.clock.now(),
          key,
          clusters: await repository.listClusters(),
        })
  // The key is durable before anything can be opened with it alone.
  await writeNewSecretFile(file, text)
  return { key, kind, label, file, isNew: true, discard: () => unlink(file) }
}

async function keyInFile(file: string): Promise<KeyMaterial | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return parseKeyText(text)
  } catch {
    return undefined
  }
}

function tooShort(): RetakeError {
  return new RetakeError('key.refused', `The passphrase has fewer than ${SHORTEST_PASSPHRASE} characters.`, {
    hint: 'Take five or more words at random. Whoever has a copy of the repository can try passphrases at leisure.',
  })
}
