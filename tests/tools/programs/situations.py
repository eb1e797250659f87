"""The situations in which each program saves."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Situation:
    name: str
    heading: str
    about: str
    # What is typed instead of what, once in the text; and the same as a column and its JSON value.
    old: str = "105"
    new: str = "120"
    column: str = "price"
    # What somebody else does to the row meanwhile.
    theirs: str = ""
    # What befalls the server while the save waits: "killed" or "stopped".
    server: str = ""
    # May the role insert and delete?
    closed: bool = False
    # What the row is afterwards: mine, before, theirs, both.
    row: str = "before"


SITUATIONS = (
    Situation("good", "A good save", "The price goes from 105 to 120.", row="mine"),
    Situation("syntax", "A text that is no row", "The price becomes the word `ten`, without quotes.", new="ten"),
    Situation("constraint", "A value that a CHECK refuses", "The price becomes -1.", new="-1"),
    Situation("conflict", "Somebody else has changed the same column",
              "Another session sets the price to 999 after the program has read the row, or, where it does not read "
              "the row (or cannot be halted in between), while its save is under way.",
              theirs="price = 999", row="theirs"),
    Situation("beside", "Somebody else has changed another column",
              "The same with the title, which the program leaves alone.", theirs="title = 'Theirs'", row="both"),
    Situation("grant", "A column that may not be changed",
              "The role has no UPDATE on `sealed`, and on this table neither INSERT nor DELETE.",
              old="wax", new="broken", column="sealed", closed=True),
    Situation("killed", "The server process that saves is killed",
              "kill -9, while the save waits there for a lock; PostgreSQL recovers, and the save is sent once more.",
              server="killed", row="mine"),
    Situation("stopped", "The server is stopped",
              "Immediately, while the save waits for a lock, and started when the program has said what it has to say. "
              "Editors save once more then.",
              server="stopped"),
)
BY_NAME = {situation.name: situation for situation in SITUATIONS}
