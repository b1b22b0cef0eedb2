// What the person of the recorded day has on the lists: a first title, a better one after a second thought, a note.

export interface TaskText {
  title: string;
  better: string;
  note: string;
}

const lines = `
Order cat food | Order cat food, the small tins | She leaves the big ones half eaten.
Water the plants | Water the plants on the balcony too | The fern every second day.
Pay the electricity bill | Pay the electricity bill by the 15th | Customer number is on the fridge.
Return the library books | Return three library books | One is still at Lena's.
Call grandma | Call grandma on Sunday after lunch | Ask about the hip.
Fix the bike light | Buy a new bike light | The rear one, USB-C.
Book the train to Hamburg | Book the 12:10 to Hamburg, window seat | BahnCard 50, seat at a table.
Take out the glass | Take the glass to the container | Not on Sundays.
Descale the coffee machine | Descale the coffee machine with citric acid | 30 g on half a litre.
Reply to Marek | Reply to Marek about the contract | He needs it before his holiday.
Prepare the retro | Prepare the retro for team Blue | Two questions are enough.
Review pull request 412 | Review pull request 412 and the migration | Look at the lock on the accounts table.
Write the release notes | Write the release notes for 3.8 | Mention the new export.
Update the on-call plan | Update the on-call plan for April | Sofia swaps with Tom.
Plan the offsite | Plan the offsite for 14 people | Two days, by train, vegetarian kitchen.
Book a meeting room | Book room Elbe for Friday 10:00 | With a screen.
Send the travel receipts | Send the travel receipts for February | Hotel, two taxis, one lunch.
Ask IT for a monitor | Ask IT for a 27 inch monitor | The old one flickers.
Renew the domain | Renew the domain for two years | Card expires in June.
Back up the photos | Back up the photos to the blue disk | January and February.
Clean the fridge | Clean the fridge and the freezer | Before the big shopping.
Find a babysitter | Find a babysitter for Saturday evening | Ask Mia first.
Sign the school form | Sign the school form and scan it | Page 2 needs both signatures.
Wash the football kit | Wash the football kit for Saturday | 40 degrees, no softener.
Buy new sneakers for Ben | Buy new sneakers for Ben, size 34 | With Velcro.
Make the vaccination appointment | Make the vaccination appointment for Ben | Bring the yellow booklet.
Bake a cake for the class | Bake two cakes for the class | One without nuts.
Repair the kitchen drawer | Repair the kitchen drawer rail | 45 cm, full extension.
Measure the window | Measure the bedroom window | Width at three heights.
Compare electricity tariffs | Compare three electricity tariffs | 2,900 kWh a year.
Read the insurance letter | Read the insurance letter and answer it | Deadline at the end of the month.
Renew the parking permit | Renew the parking permit online | Needs the new registration.
Sell the old camera | Put the old camera online for 120 | With both lenses.
Learn the new chords | Learn the new chords for Thursday | B flat is the hard one.
Tune the guitar | Put new strings on the guitar | 11 to 52.
Buy flowers | Buy tulips for Anna | Not the yellow ones.
Reserve a table | Reserve a table for six at Trattoria Sole | Saturday 19:30, near the window.
Print the photos | Print the photos for the album | 10 x 15, matt.
Check the tyre pressure | Check the tyre pressure before the trip | 2.4 in front.
Buy lactose-free yoghurt | Buy lactose-free yoghurt, two cups | Plain.
Rice, lentils, tomatoes | Rice, red lentils, tinned tomatoes | For Tuesday's dal.
Buy dishwasher tabs | Buy dishwasher tabs and salt | On offer until Saturday.
Pick up the suit | Pick up the suit at the cleaner's | The ticket is in the wallet.
Get a haircut | Get a haircut on Friday at 17:00 | At Emre's.
Stretch for ten minutes | Stretch for ten minutes, back and hips | The video with the green mat.
Run 5 km | Run 6 km along the canal | Slowly.
Finish the chapter | Finish chapter 7 | Until page 213.
Outline the blog post | Outline the blog post on offline sync | One picture, 800 words.
Ask Priya for the numbers | Ask Priya for the numbers of Q1 | Revenue and churn.
Draft the budget | Draft the budget for the second half | Keep ten percent aside.
Interview on Monday | Prepare the interview on Monday | Read the code sample first.
Feedback for Jonas | Write the feedback for Jonas | Two things that went well, one to try.
Update the CV | Update the CV and the profile picture | Drop the first job.
Cancel the newsletter | Cancel three newsletters | The link is at the bottom.
Change the bank password | Change the bank password and the PIN | In the password manager.
Scan the tax papers | Scan the tax papers for 2025 | Donations are in the red folder.
Call the tax adviser | Call the tax adviser before Friday | Ask about the home office.
Order a birth certificate | Order a birth certificate, two copies | Registry office, 12 euros each.
Pack for Hamburg | Pack for Hamburg: charger, laptop, rain jacket | One night.
Send the address to Lena | Send the new address to Lena | Also the door code.
Charge the headphones | Charge the headphones and the power bank | Before the train.
Download the maps | Download the maps of Hamburg | Offline.
Confirm the hotel | Confirm the hotel for Thursday | Late arrival.
Buy a card for Paul | Buy a card and a book for Paul | He turns forty.
Water filter | Order a water filter | Model is on the lid.
Clear the attic | Clear half of the attic | Boxes 1 to 6.
Ask for a quote | Ask two painters for a quote | Hall and kitchen.
Replace the smoke detector | Replace the smoke detector battery | 9 V block.
Vet appointment | Make a vet appointment for the cat | Yearly check.
Try the new recipe | Try the lentil recipe on Saturday | Needs cumin.
Order printer paper | Order printer paper and a cartridge | Black only.
Watch the talk | Watch the talk on CRDTs | 38 minutes.
Sort the inbox | Sort the inbox down to twenty | Archive everything from 2024.
Thank the neighbours | Thank the neighbours with a bottle | They took four parcels.
Book swimming lessons | Book swimming lessons for Ben from April | Thursday group.
Wipe the whiteboard | Take a picture, then wipe the whiteboard | Diagram of the queue.
Sharpen the knives | Sharpen the two big knives | At the market on Saturday.
Fill in the time sheet | Fill in the time sheet for week 10 | Eight hours on support.
Order team shirts | Order 14 team shirts | Sizes are in the sheet.
Renew the gym card | Ask the gym for the off-peak card | Until 16:00 only.`;

/** About eighty everyday tasks, in a fixed order. */
export const taskTexts: readonly TaskText[] = lines
  .trim()
  .split('\n')
  .map((line) => {
    const [title = '', better = '', note = ''] = line.split(' | ');
    return { title, better, note };
  });

/** What people append to a title that was already improved once. */
export const titleEndings: readonly string[] = ['today', 'this week', 'before Friday', 'when there is time', 'urgent'];
