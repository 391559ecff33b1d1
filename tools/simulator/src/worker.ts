/** A process that runs seeds which its parent sends, one after the other, and answers with reports. */
import { runTask, type Task } from './levels.ts'

process.on('message', (task: Task) => {
  void runTask(task).then(report => process.send?.(report))
})
process.on('disconnect', () => process.exit())
