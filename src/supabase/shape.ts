/**
 * What an answer from outside must look like, checked at run time and known to the compiler from the same words. Unknown
 * fields are tolerated and dropped. A checker of our own, because the package for it compiles code at run time, which edge
 * runtimes and strict content policies forbid. A message names the place and the kind of a value, never the value.
 */
import { RetakeError } from '../base/errors.ts'

/** Returns the value as it was asked for, or throws `supabase.protocol`. */
export type Shape<T> = (value: unknown, path: string) => T

/** The type that a shape checks. */
export type Shaped<S> = S extends Shape<infer T> ? T : never

interface Optional<T> {
  readonly optional: Shape<T>
}

type Fields = Readonly<Record<string, Shape<unknown> | Optional<unknown>>>
type Required<F> = { [K in keyof F]: F[K] extends Optional<unknown> ? never : K }[keyof F]
type Shown<T> = { readonly [K in keyof T]: T[K] }
type ObjectOf<F> = Shown<
  { [K in Required<F>]: F[K] extends Shape<infer T> ? T : never } & {
    [K in Exclude<keyof F, Required<F>>]?: F[K] extends Optional<infer T> ? T | undefined : never
  }
>

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'a list' : value === undefined ? 'missing' : `of type ${typeof value}`
}

function mismatch(path: string, { wanted, value }: { wanted: string; value: unknown }): RetakeError {
  return new RetakeError('supabase.protocol', `${path} is ${kindOf(value)}; ${wanted} was expected.`)
}

const primitive =
  <T>(wanted: string, accepts: (value: unknown) => value is T): Shape<T> =>
  (value, path) => {
    if (accepts(value)) return value
    throw mismatch(path, { wanted, value })
  }

export const text = primitive('a text', (value): value is string => typeof value === 'string')
export const bool = primitive('true or false', (value): value is boolean => typeof value === 'boolean')
export const number = primitive(
  'a number',
  (value): value is number => typeof value === 'number' && Number.isFinite(value),
)
/** Whatever it is: for what is handed on and not looked at. */
export const anything: Shape<unknown> = (value) => value

export const nullable =
  <T>(shape: Shape<T>): Shape<T | null> =>
  (value, path) =>
    value === null ? null : shape(value, path)

/** A field that may be absent or null, which comes out as absent. */
export const optional = <T>(shape: Shape<T>): Optional<T> => ({ optional: shape })

export const list =
  <T>(shape: Shape<T>): Shape<readonly T[]> =>
  (value, path) => {
    if (!Array.isArray(value)) throw mismatch(path, { wanted: 'a list', value })
    return value.map((item, index) => shape(item, `${path}[${index}]`))
  }

/** An object whose names are not known beforehand. */
export const record =
  <T>(shape: Shape<T>): Shape<Readonly<Record<string, T>>> =>
  (value, path) =>
    Object.fromEntries(Object.entries(objectAt(value, path)).map(([key, item]) => [key, shape(item, `${path}.${key}`)]))

export const object =
  <const F extends Fields>(fields: F): Shape<ObjectOf<F>> =>
  (value, path) => {
    const given = objectAt(value, path)
    const entries = Object.entries(fields).flatMap(([key, field]): [string, unknown][] => {
      const item = Object.hasOwn(given, key) ? given[key] : undefined
      if (typeof field === 'function') return [[key, field(item, `${path}.${key}`)]]
      return item === undefined || item === null ? [] : [[key, field.optional(item, `${path}.${key}`)]]
    })
    return Object.fromEntries(entries) as ObjectOf<F>
  }

function objectAt(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw mismatch(path, { wanted: 'an object', value })
  }
  return value as Readonly<Record<string, unknown>>
}
