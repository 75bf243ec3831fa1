export interface SqlConnection extends AsyncDisposable {
  /** Runs one statement; `bigint` and `numeric` values come as strings. One at a time. */
  query<R extends object = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<R[]>
  /** 170010 for 17.10. */
  readonly serverVersionNum: number
}
