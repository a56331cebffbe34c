//! Feeds of chain events: methods.

use crate::method::{ARRAY, BOOL, INT, Method, OBJECT, STR, optional, required};

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("createfeed", "Starts a feed: events of the chain written to files.")
        .takes(&[required("feed", STR), optional("parameters", OBJECT, "")])
        .example(&["feed1"]),
    Method::new("deletefeed", "Deletes a feed.")
        .takes(&[required("feed", STR), optional("force", BOOL, "false")])
        .example(&["feed1"]),
    Method::new("pausefeed", "Stops a feed for a while.")
        .takes(&[required("feed", STR), optional("buffer", BOOL, "true")])
        .example(&["feed1"]),
    Method::new("resumefeed", "Lets a paused feed go on.")
        .takes(&[required("feed", STR), optional("buffer", BOOL, "true")])
        .example(&["feed1"]),
    Method::new("listfeeds", "Lists feeds and how far they are.")
        .takes(&[optional("feeds", STR.or(ARRAY), "*"), optional("verbose", BOOL, "false")])
        .example(&["*", "true"]),
    Method::new("addtofeed", "Adds streams or block events to a feed.")
        .takes(&[
            required("feed", STR),
            required("entities", STR.or(ARRAY)),
            optional("globals", STR, r#""""#),
            optional("action", STR, "rescan"),
            optional("options", OBJECT, ""),
        ])
        .example(&["feed1", "stream1"])
        .slow(),
    Method::new("updatefeed", "Changes what a feed contains.")
        .takes(&[
            required("feed", STR),
            required("entities", STR.or(ARRAY)),
            optional("globals", STR, r#""""#),
            optional("action", STR, "none"),
            optional("options", OBJECT, ""),
        ])
        .example(&["feed1", "stream1", "blocks", "rescan"])
        .slow(),
    Method::new("purgefeed", "Deletes old files of a feed.")
        .takes(&[required("feed", STR), required("file-or-days", INT.or(STR))])
        .example(&["feed1", "5"]),
    Method::new("getdatarefdata", "Gives data that a feed refers to.")
        .takes(&[required("dataref", STR), optional("count-bytes", INT, "all"), optional("start-byte", INT, "0")])
        .example(&["1-2-3", "100", "0"]),
    Method::new("datareftobinarycache", "Copies data that a feed refers to into the binary cache.")
        .takes(&[
            required("identifier", STR),
            required("dataref", STR),
            optional("count-bytes", INT, "all"),
            optional("start-byte", INT, "0"),
        ])
        .example(&["hCTZz7Nt", "1-2-3"]),
];
