import type { CommandContext, CommandOutcome } from '../command.ts'
import { renderTable } from '../format.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  await using retake = await context.open()
  const holders = await retake.repository.listHolders()
  return {
    data: { repository: retake.repository.url, holders },
    text: renderTable(holders, [
      { title: 'HOLDER', value: ({ holder }) => holder },
      { title: 'KIND', value: ({ kind }) => kind },
      { title: 'LABEL', value: ({ label }) => label },
      { title: 'ADDED', value: ({ createdAt }) => createdAt },
    ]),
  }
}
