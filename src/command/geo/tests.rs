//! Transcripts: every option and every error.

use crate::command::testing::{Bench, transcript};
use crate::resp::Protocol;

#[test]
fn places_are_added() {
    transcript(
        r#"
        > GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
        (integer) 2
        > GEOADD g NX 1 1 Palermo 2 2 new
        (integer) 1
        > GEOADD g XX CH 13.5 38.2 Palermo 3 3 other
        (integer) 1
        > GEOADD g CH 13.361389 38.115556 Palermo 0 0 zero
        (integer) 2
        > GEOADD g CH 13.361389 38.115556 Palermo
        (integer) 0
        > GEOADD none XX 1 1 a
        (integer) 0
        > EXISTS none
        (integer) 0
        > ZRANGE g 0 -1 WITHSCORES
        1) "zero"
        2) "3377699720527872"
        3) "new"
        4) "3378191666521995"
        5) "Palermo"
        6) "3479099956230698"
        7) "Catania"
        8) "3479447370796909"
        > GEOADD g NX XX 1 1 a
        (error) ERR syntax error
        > GEOADD g NX CH XX
        (error) ERR syntax error
        > GEOADD g 1 1 a 2
        (error) ERR syntax error
        > GEOADD g 200 100 a
        (error) ERR invalid longitude,latitude pair 200.000000,100.000000
        > GEOADD g 180 85.05112878 corner -180 -85.05112878 other
        (integer) 2
        > GEOADD g 1 x a
        (error) ERR value is not a valid float
        > GEOADD g 1 86 a
        (error) ERR invalid longitude,latitude pair 1.000000,86.000000
        > GEOADD g inf 1 a
        (error) ERR invalid longitude,latitude pair inf,1.000000
        > GEOADD g nan 1 a
        (error) ERR value is not a valid float
        > GEOADD g 1 1
        (error) ERR wrong number of arguments for 'geoadd' command
        > SET text x
        OK
        > GEOADD text 1 1 a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > GEOADD text XX 1 1 a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn places_are_told() {
    transcript(
        r#"
        > GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania -122.419416 37.774929 "San Francisco"
        (integer) 3
        > GEOPOS g Palermo nobody Catania
        1) 1) "13.36138933897018433"
           2) "38.11555639549629859"
        2) (nil)
        3) 1) "15.08726745843887329"
           2) "37.50266842333162032"
        > GEOPOS g
        (empty array)
        > GEOPOS nobody a
        1) (nil)
        > GEOHASH g Palermo Catania nobody "San Francisco"
        1) "sqc8b49rny0"
        2) "sqdtr74hyu0"
        3) (nil)
        4) "9q8yyk8yuu0"
        > GEOHASH nobody a
        1) (nil)
        > GEOHASH g
        (empty array)
        > GEODIST g Palermo Catania
        "166274.1516"
        > GEODIST g Palermo Catania km
        "166.2742"
        > GEODIST g Palermo "San Francisco" MI
        "6487.9957"
        > GEODIST g Palermo Catania ft
        "545518.8700"
        > GEODIST g Palermo Palermo
        "0.0000"
        > GEODIST g Palermo nobody
        (nil)
        > GEODIST nobody a b
        (nil)
        > GEODIST g Palermo Catania parsec
        (error) ERR unsupported unit provided. please use M, KM, FT, MI
        > GEODIST g Palermo Catania km x
        (error) ERR syntax error
        > GEODIST g Palermo
        (error) ERR wrong number of arguments for 'geodist' command
        > GEODIST nobody a b parsec
        (error) ERR unsupported unit provided. please use M, KM, FT, MI
        > ZADD raw 0 zero -1 minus 9007199254740993 big inf endless 1.5 half
        (integer) 5
        > GEOPOS raw zero minus big half
        1) 1) "-179.99999731779098511"
           2) "-85.05112751263942528"
        2) 1) "180"
           2) "85.0511287799999991"
        3) 1) "180"
           2) "-85.05112751263942528"
        4) 1) "-179.99999731779098511"
           2) "-85.05112497791824921"
        > GEOHASH raw zero minus big half
        1) "00bh0hbj200"
        2) "bp05b5048p0"
        3) "00bh0hbj200"
        4) "00bh0hbj210"
        > GEODIST raw zero big km
        "0.0000"
        > SET text x
        OK
        > GEOPOS text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > GEOHASH text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > GEODIST text a b
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn places_are_searched() {
    transcript(
        r#"
        > GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 12.758489 38.788135 edge1 17.24151 38.788135 edge2
        (integer) 4
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC
        1) "Catania"
        2) "Palermo"
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km DESC WITHDIST WITHHASH WITHCOORD
        1) 1) "Palermo"
           2) "190.4424"
           3) (integer) 3479099956230698
           4) 1) "13.36138933897018433"
              2) "38.11555639549629859"
        2) 1) "Catania"
           2) "56.4413"
           3) (integer) 3479447370796909
           4) 1) "15.08726745843887329"
              2) "37.50266842333162032"
        > GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST
        1) 1) "Catania"
           2) "56.4413"
        2) 1) "Palermo"
           2) "190.4424"
        3) 1) "edge2"
           2) "279.7403"
        4) 1) "edge1"
           2) "279.7405"
        > GEOSEARCH g FROMMEMBER Palermo BYRADIUS 100 mi ASC WITHCOORD
        1) 1) "Palermo"
           2) 1) "13.36138933897018433"
              2) "38.11555639549629859"
        2) 1) "edge1"
           2) 1) "12.7584877610206604"
              2) "38.78813451624225195"
        > GEOSEARCH g FROMMEMBER Palermo BYBOX 600000 200000 ft ASC WITHHASH
        1) 1) "Palermo"
           2) (integer) 3479099956230698
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 400 km COUNT 2
        1) "Catania"
        2) "Palermo"
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 400 km COUNT 2 DESC
        1) "edge1"
        2) "edge2"
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 400 km COUNT 9 ANY ASC
        1) "Catania"
        2) "Palermo"
        3) "edge2"
        4) "edge1"
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 0 m
        (empty array)
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS inf m ASC
        1) "Catania"
        2) "Palermo"
        3) "edge2"
        4) "edge1"
        > GEOSEARCH nobody FROMLONLAT 15 37 BYRADIUS 200 km
        (empty array)
        > GEOSEARCH nobody FROMMEMBER x BYRADIUS 200 km
        (empty array)
        > GEOSEARCH g FROMMEMBER x BYRADIUS 200 km
        (error) ERR could not decode requested zset member
        > GEOSEARCH g FROMLONLAT 15 37 ASC WITHDIST
        (error) ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH
        > GEOSEARCH g BYRADIUS 200 km ASC WITHDIST
        (error) ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH
        > geosearch g BYBOX 200 200 km ASC
        (error) ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for geosearch
        > GEOSEARCH g FROMLONLAT 15 37 FROMMEMBER Palermo BYRADIUS 200 km
        (error) ERR syntax error
        > GEOSEARCH g FROMMEMBER Palermo FROMLONLAT 15 37 BYRADIUS 200 km
        (error) ERR syntax error
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km BYBOX 1 1 km
        (error) ERR syntax error
        > GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 1 km BYRADIUS 200 km
        (error) ERR syntax error
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 parsec
        (error) ERR unsupported unit provided. please use M, KM, FT, MI
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS x km
        (error) ERR need numeric radius
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS -1 km
        (error) ERR radius cannot be negative
        > GEOSEARCH g FROMLONLAT 15 37 BYBOX x 1 km
        (error) ERR need numeric width
        > GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 x km
        (error) ERR need numeric height
        > GEOSEARCH g FROMLONLAT 15 37 BYBOX -1 1 km
        (error) ERR height or width cannot be negative
        > GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 1 parsec
        (error) ERR unsupported unit provided. please use M, KM, FT, MI
        > GEOSEARCH g FROMLONLAT 215 37 BYRADIUS 1 km
        (error) ERR invalid longitude,latitude pair 215.000000,37.000000
        > GEOSEARCH g FROMLONLAT x 37 BYRADIUS 1 km
        (error) ERR value is not a valid float
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 km COUNT 0
        (error) ERR COUNT must be > 0
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 km COUNT x
        (error) ERR value is not an integer or out of range
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 km COUNT
        (error) ERR syntax error
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 km ANY
        (error) ERR the ANY argument requires COUNT argument
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 km STORE x
        (error) ERR syntax error
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 km STOREDIST
        (error) ERR syntax error
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1
        (error) ERR syntax error
        > GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 km
        (error) ERR syntax error
        > GEOSEARCH g FROMLONLAT 15 37
        (error) ERR wrong number of arguments for 'geosearch' command
        > SET text x
        OK
        > GEOSEARCH text FROMLONLAT 15 37 BYRADIUS 1 parsec
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn results_are_stored() {
    transcript(
        r#"
        > GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 12.758489 38.788135 edge1
        (integer) 3
        > GEOSEARCHSTORE t g FROMLONLAT 15 37 BYRADIUS 200 km
        (integer) 2
        > ZRANGE t 0 -1 WITHSCORES
        1) "Palermo"
        2) "3479099956230698"
        3) "Catania"
        4) "3479447370796909"
        > GEOSEARCHSTORE t g FROMLONLAT 15 37 BYBOX 900 900 km STOREDIST COUNT 2
        (integer) 2
        > ZRANGE t 0 -1 WITHSCORES
        1) "Catania"
        2) "56.441257870158204"
        3) "Palermo"
        4) "190.44242984775784"
        > GEOSEARCHSTORE t g FROMLONLAT 0 0 BYRADIUS 1 km
        (integer) 0
        > EXISTS t
        (integer) 0
        > GEOSEARCHSTORE t nobody FROMMEMBER a BYRADIUS 1 km
        (integer) 0
        > GEOSEARCHSTORE t g FROMMEMBER Palermo BYRADIUS 1 km WITHDIST
        (error) ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        > GEOSEARCHSTORE t g BYRADIUS 1 km STOREDIST ASC DESC
        (error) ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCHSTORE
        > GEOSEARCHSTORE t g FROMLONLAT 1 1 STOREDIST ASC
        (error) ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCHSTORE
        > GEOSEARCHSTORE t g FROMLONLAT 1 1 BYRADIUS 1
        (error) ERR syntax error
        > GEORADIUS g 15 37 200 km STORE t
        (integer) 2
        > ZRANGE t 0 -1 WITHSCORES
        1) "Palermo"
        2) "3479099956230698"
        3) "Catania"
        4) "3479447370796909"
        > GEORADIUS g 15 37 200 km STOREDIST t
        (integer) 2
        > ZRANGE t 0 -1 WITHSCORES
        1) "Catania"
        2) "56.441257870158204"
        3) "Palermo"
        4) "190.44242984775784"
        > GEORADIUS g 15 37 200 km STOREDIST other STORE t
        (integer) 2
        > ZRANGE t 0 -1 WITHSCORES
        1) "Palermo"
        2) "3479099956230698"
        3) "Catania"
        4) "3479447370796909"
        > EXISTS other
        (integer) 0
        > GEORADIUSBYMEMBER g Palermo 200 km STORE t COUNT 1
        (integer) 1
        > ZRANGE t 0 -1 WITHSCORES
        1) "Palermo"
        2) "3479099956230698"
        > GEORADIUSBYMEMBER g Palermo 100 m STOREDIST t
        (integer) 1
        > ZRANGE t 0 -1 WITHSCORES
        1) "Palermo"
        2) "0"
        > GEORADIUSBYMEMBER nobody Palermo 100 m STORE t
        (integer) 0
        > EXISTS t
        (integer) 0
        > GEORADIUS g 15 37 200 km STORE t WITHDIST
        (error) ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        > GEORADIUS g 15 37 200 km STORE
        (error) ERR syntax error
        > GEORADIUSBYMEMBER g Palermo 200 km WITHCOORD STOREDIST t
        (error) ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        > SET text x
        OK
        > GEOSEARCHSTORE text g FROMLONLAT 15 37 BYRADIUS 200 km
        (integer) 2
        > TYPE text
        zset
        > SET text x
        OK
        > GEOSEARCHSTORE t text FROMLONLAT 15 37 BYRADIUS 200 km
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn the_older_searches() {
    transcript(
        r#"
        > GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
        (integer) 2
        > GEORADIUS g 15 37 200 km ASC
        1) "Catania"
        2) "Palermo"
        > GEORADIUS g 15 37 200 km WITHDIST WITHCOORD WITHHASH DESC
        1) 1) "Palermo"
           2) "190.4424"
           3) (integer) 3479099956230698
           4) 1) "13.36138933897018433"
              2) "38.11555639549629859"
        2) 1) "Catania"
           2) "56.4413"
           3) (integer) 3479447370796909
           4) 1) "15.08726745843887329"
              2) "37.50266842333162032"
        > GEORADIUS g 15 37 200 km COUNT 1
        1) "Catania"
        > GEORADIUS_RO g 15 37 200 km WITHDIST ASC
        1) 1) "Catania"
           2) "56.4413"
        2) 1) "Palermo"
           2) "190.4424"
        > GEORADIUS_RO g 15 37 200 km STORE t
        (error) ERR syntax error
        > GEORADIUSBYMEMBER g Palermo 200 km ASC
        1) "Palermo"
        2) "Catania"
        > GEORADIUSBYMEMBER_RO g Palermo 200 km WITHDIST DESC
        1) 1) "Catania"
           2) "166.2742"
        2) 1) "Palermo"
           2) "0.0000"
        > GEORADIUSBYMEMBER_RO g Palermo 200 km STOREDIST t
        (error) ERR syntax error
        > GEORADIUSBYMEMBER g x 200 km
        (error) ERR could not decode requested zset member
        > GEORADIUSBYMEMBER nobody x y parsec
        (empty array)
        > GEORADIUSBYMEMBER nobody x y parsec WHAT
        (error) ERR syntax error
        > GEORADIUS nobody 1 1 1 km
        (empty array)
        > GEORADIUS g 1 1 1 parsec
        (error) ERR unsupported unit provided. please use M, KM, FT, MI
        > GEORADIUS g 1 1 x km
        (error) ERR need numeric radius
        > GEORADIUS g 1 1 -1 km
        (error) ERR radius cannot be negative
        > GEORADIUS g 200 1 1 km
        (error) ERR invalid longitude,latitude pair 200.000000,1.000000
        > GEORADIUS g 1 x 1 km
        (error) ERR value is not a valid float
        > GEORADIUS g 1 1 1 km FROMMEMBER Palermo
        (error) ERR syntax error
        > GEORADIUS g 1 1 1 km ANY
        (error) ERR the ANY argument requires COUNT argument
        > GEORADIUS g 1 1 1 km COUNT -1
        (error) ERR COUNT must be > 0
        > GEORADIUS g 1 1 1
        (error) ERR wrong number of arguments for 'georadius' command
        > GEORADIUS_RO g 1 1 1
        (error) ERR wrong number of arguments for 'georadius_ro' command
        > GEORADIUSBYMEMBER g 1 1
        (error) ERR wrong number of arguments for 'georadiusbymember' command
        > GEORADIUSBYMEMBER_RO g 1 1
        (error) ERR wrong number of arguments for 'georadiusbymember_ro' command
        > SET text x
        OK
        > GEORADIUS text 1 1 1 parsec
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > GEORADIUSBYMEMBER text a 1 m
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn changes_are_told_and_counted() {
    let mut bench = Bench::new();
    bench.line("GEOADD g 1 1 a 2 2 b");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (2, &["zadd g@0".to_owned()][..]));
    bench.line("GEOADD g 1 1 a");
    assert_eq!((bench.done.changes, bench.done.events().len()), (0, 0));
    bench.line("GEOSEARCHSTORE t g FROMLONLAT 1 1 BYRADIUS 500 km");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (2, &["geosearchstore t@0".to_owned()][..]));
    bench.line("GEORADIUS g 1 1 1 km STORE t");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["georadiusstore t@0".to_owned()][..]));
    bench.line("GEORADIUS g 50 50 1 km STORE t");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["del t@0".to_owned()][..]));
}

#[test]
fn resp3_has_numbers_for_coordinates_only() {
    let mut bench = Bench::new();
    bench.protocol = Protocol::Resp3;
    bench.line("GEOADD g 0 0 a");
    assert_eq!(
        bench.raw(&[b"GEOPOS", b"g", b"a", b"x"]),
        b"*2\r\n*2\r\n,0.00000268220901489\r\n,0.00000126736058093\r\n_\r\n"
    );
    assert_eq!(bench.raw(&[b"GEODIST", b"g", b"a", b"a"]), b"$6\r\n0.0000\r\n");
}
